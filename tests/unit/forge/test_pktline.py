from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.forge.model import ZERO, RefUpdate
from riad.kernel.faults import Fault
from riad.protocols.git.pktline import FLUSH, Answer, CommandReader, packet

SHA = "1" * 40
FIRST = packet(f"{ZERO} {SHA} refs/heads/main\0 report-status side-band-64k agent=git/2".encode())
SECOND = packet(f"{SHA} {ZERO} refs/tags/v1".encode())


def read(*pieces: bytes) -> CommandReader:
    reader = CommandReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


def test_commands_are_read_up_to_the_flush_and_the_pack_is_left_alone() -> None:
    reader = read(FIRST + SECOND + FLUSH + b"PACK....")
    assert reader.commands is not None
    assert reader.commands.updates == (
        RefUpdate("refs/heads/main", ZERO, SHA),
        RefUpdate("refs/tags/v1", SHA, ZERO),
    )
    assert reader.commands.sideband
    assert reader.seen.endswith(b"PACK....")


def test_push_options_follow_the_commands() -> None:
    first = packet(f"{ZERO} {SHA} refs/heads/main\0 report-status push-options".encode())
    reader = read(first + FLUSH + packet(b"ci.skip\n"))
    assert reader.commands is None
    reader.feed(packet(b"ci.variable=A=b") + FLUSH + b"PACK")
    assert reader.commands is not None
    assert reader.commands.options == ("ci.skip", "ci.variable=A=b")


@given(st.lists(st.integers(0, 300), max_size=6))
def test_it_does_not_matter_how_the_bytes_arrive(cuts: list[int]) -> None:
    whole = packet(f"shallow {SHA}".encode()) + FIRST + SECOND + FLUSH + b"PACK"
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    reader = read(*(whole[a:b] for a, b in pairwise(edges)))
    assert reader.seen == whole
    assert reader.commands is not None
    assert len(reader.commands.updates) == 2


@given(st.binary(max_size=200))
def test_strangers_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(Fault):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"zzzz",
        b"0001",
        b"0004",
        packet(b"push-cert\0x"),
        packet(f"{ZERO} {SHA} refs/heads/a\x1b[31m".encode()),
        packet(f"{ZERO} short refs/heads/a".encode()),
    ],
)
def test_what_is_no_push_is_refused(data: bytes) -> None:
    with pytest.raises(Fault):
        read(data)


def banded(number: int, payload: bytes) -> bytes:
    return packet(bytes([number]) + payload)


REPORT = packet(b"unpack ok\n") + packet(b"ok refs/heads/main\n") + packet(b"ng refs/heads/x no\n") + FLUSH


@given(st.integers(1, 40))
def test_progress_passes_and_the_report_is_held(size: int) -> None:
    whole = banded(2, b"Unpacking\n") + banded(1, REPORT[:20]) + banded(2, b"done\n") + banded(1, REPORT[20:]) + FLUSH
    answer = Answer(sideband=True)
    passed = b"".join(answer.feed(whole[at : at + size]) for at in range(0, len(whole), size))
    assert passed == banded(2, b"Unpacking\n") + banded(2, b"done\n")
    assert bytes(answer.held) == banded(1, REPORT[:20]) + banded(1, REPORT[20:]) + FLUSH
    assert answer.accepted() == {"refs/heads/main"}


def test_without_bands_everything_is_held() -> None:
    answer = Answer(sideband=False)
    assert answer.feed(REPORT) == b""
    assert bytes(answer.held) == REPORT
    assert answer.accepted() == {"refs/heads/main"}
    assert answer.remarks(("hello",)) == b""


def test_half_a_report_is_no_report() -> None:
    answer = Answer(sideband=False)
    answer.feed(REPORT[:-6])
    assert answer.accepted() is None
