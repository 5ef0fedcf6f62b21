"""A thread that makes pieces ahead of who uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from riad.engine.images.ahead import ahead


def counted(seen: list[int], *, until: int = 100, error: Exception | None = None) -> Iterator[bytes]:
    for number in range(until):
        seen.append(number)
        yield b"%d" % number
    if error is not None:
        raise error


def test_all_pieces_come_in_order() -> None:
    assert list(ahead(counted([]))) == [b"%d" % number for number in range(100)]


def test_an_error_comes_after_the_pieces_before_it() -> None:
    found: list[bytes] = []
    with pytest.raises(ValueError, match="broken"):
        found.extend(ahead(counted([], until=3, error=ValueError("broken"))))
    with closing(ahead(counted([], until=3, error=ValueError("broken")))) as pieces:
        assert [next(pieces), next(pieces), next(pieces)] == [b"0", b"1", b"2"]
        with pytest.raises(ValueError, match="broken"):
            next(pieces)


def test_only_a_few_are_made_ahead_and_the_rest_is_left_to_who_closes_it() -> None:
    seen: list[int] = []
    source = counted(seen)
    with closing(ahead(source)) as pieces:
        assert next(pieces) == b"0"
    assert len(seen) < 20
    assert next(source) == b"%d" % len(seen[:-1])
