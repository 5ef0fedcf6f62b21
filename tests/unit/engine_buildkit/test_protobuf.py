"""The wire format, judged by bytes that the official implementation writes (protobuf.dev, "Encoding")."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.buildkit.messages.control import SolveRequest, StatusResponse, Vertex
from riad.engine.buildkit.messages.session import Packet, PacketType, Stat
from riad.engine.buildkit.protobuf import Malformed, decode, encode


def test_texts_numbers_and_nested_messages_have_the_documented_bytes() -> None:
    packet = Packet(PacketType.REQUEST, id=300)
    assert encode(packet) == bytes.fromhex("080118ac02")
    assert encode(Packet(PacketType.STAT)) == b""
    assert encode(Stat(path="a", mode=0o644)) == b"\x0a\x01a\x10\xa4\x03"


def test_maps_are_entries_of_key_and_value() -> None:
    request = SolveRequest(ref="r", frontend_attrs={"k": "v"})
    assert encode(request) == b"\x0a\x01r" + b"\x3a\x06\x0a\x01k\x12\x01v"
    assert decode(SolveRequest, encode(request)) == request


def test_an_empty_map_value_is_an_empty_text() -> None:
    assert decode(SolveRequest, b"\x3a\x03\x0a\x01k").frontend_attrs == {"k": ""}


def test_times_are_seconds_and_nanoseconds() -> None:
    news = StatusResponse((Vertex("d", started=1_500_000_001),))
    assert encode(news).endswith(b"\x2a\x08\x08\x01\x10\x81\xca\xb5\xee\x01")
    assert decode(StatusResponse, encode(news)) == news


def test_negative_numbers_take_ten_bytes() -> None:
    stat = Stat(mtime_ns=-1)
    assert encode(stat) == b"\x30" + b"\xff" * 9 + b"\x01"
    assert decode(Stat, encode(stat)) == stat


def test_unknown_fields_are_passed_over() -> None:
    assert decode(Vertex, b"\x0a\x01d" + b"\xfa\x01\x02xy" + b"\x98\x06\x07").digest == "d"


@pytest.mark.parametrize("raw", [b"\x0a\x05a", b"\x0a", b"\xff" * 11, b"\x0b", b"\x08\x01"])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(Vertex, raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    with contextlib.suppress(Malformed):
        decode(StatusResponse, raw)


@given(
    st.builds(
        Stat,
        path=st.text(),
        mode=st.integers(0, 2**32 - 1),
        size=st.integers(-(2**63), 2**63 - 1),
        xattrs=st.dictionaries(st.text(), st.binary()),
    )
)
def test_what_is_written_is_read_again(stat: Stat) -> None:
    assert decode(Stat, encode(stat)) == stat
