"""Which changes of the host's rules are news: not our own, nor other engines' in their own tables."""

from __future__ import annotations

import struct
import threading

import pytest

from riad.engine.host.netwatch import Transactions

NEW_RULE, NEW_ELEMENT, DELETE_TABLE, GENERATION = ((10 << 8) | kind for kind in (6, 12, 2, 15))


def attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def told(kind: int, *attributes: bytes) -> bytes:
    body = b"\0\0\0\0" + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def about(kind: int, table: str) -> bytes:
    return told(kind, attribute(1, table.encode() + b"\0"))


def ends(thread: int) -> bytes:
    return told(GENERATION, attribute(1, b"\0\0\0\1"), attribute(2, thread.to_bytes(4, "big")))


ANOTHER = 1
"""Process 1 is no thread of ours."""


@pytest.mark.parametrize(
    ("messages", "ours", "expected"),
    [
        ([about(NEW_RULE, "filter")], False, True),
        ([about(NEW_RULE, "filter")], True, False),
        ([about(NEW_ELEMENT, "riad_other")], False, False),
        ([about(DELETE_TABLE, "riad_mine")], False, True),
        ([about(NEW_ELEMENT, "riad_other"), about(NEW_RULE, "filter")], False, True),
        ([], False, True),
    ],
)
def test_transactions_of_others_are_news(messages: list[bytes], ours: bool, expected: bool) -> None:
    thread = threading.get_native_id() if ours else ANOTHER
    together, apart = Transactions("riad_mine", "riad_"), Transactions("riad_mine", "riad_")
    assert together.concern(b"".join(messages) + ends(thread)) is expected
    assert [apart.concern(each) for each in [*messages, ends(thread)]][-1] is expected


def test_one_transaction_is_not_taken_for_the_next() -> None:
    seen = Transactions("riad_mine", "riad_")
    assert seen.concern(about(NEW_RULE, "filter") + ends(ANOTHER))
    assert not seen.concern(about(NEW_ELEMENT, "riad_other") + ends(ANOTHER))


def test_garbage_is_no_news() -> None:
    for data in (b"", b"\0" * 7, b"\0" * 40, b"\0" * 17):
        assert not Transactions("riad_mine", "riad_").concern(data)
