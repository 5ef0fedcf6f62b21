"""Points of one metric as blocks of bytes: all steps, then all times, then all values, little-endian. Pure.

A block holds what came in one request; small ones are joined when there is time. Points that are equal in every part
are one point: they are told apart when they are read, not when they are written.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import lt

Point = tuple[int, int, float]
"""(step, milliseconds since 1970, value)"""
LARGEST = 1.7976931348623157e308
"""Infinity is kept as the largest number there is, as MLflow does: JSON has no word for it."""


def encode(steps: Sequence[int], times: Sequence[int], values: Sequence[float]) -> bytes:
    parts = array("q", steps), array("q", times), array("d", values)
    if sys.byteorder == "big":
        for part in parts:
            part.byteswap()
    return b"".join(part.tobytes() for part in parts)


class Series:
    """All points of one metric of a run, in the order in which they came."""

    def __init__(self, blocks: Iterable[tuple[int, bytes]]) -> None:
        """(number of points, bytes) each, oldest first."""
        self.steps, self.times, self.values = array("q"), array("q"), array("d")
        for count, block in blocks:
            size = 8 * count
            self.steps.frombytes(block[:size])
            self.times.frombytes(block[size : 2 * size])
            self.values.frombytes(block[2 * size :])
        if sys.byteorder == "big":
            for part in (self.steps, self.times, self.values):
                part.byteswap()

    def __len__(self) -> int:
        return len(self.steps)

    def by_time(self) -> list[Point]:
        """Each point once, ordered by time, step and value."""
        found = list(zip(self.steps, self.times, self.values, strict=True))
        return found if _rises(self.times) else _once(sorted(found, key=_by_time))

    def by_step(self) -> list[Point]:
        """Each point once, ordered by step, time and value."""
        found = list(zip(self.steps, self.times, self.values, strict=True))
        return found if _rises(self.steps) else _once(sorted(found, key=_by_step))

    def thinned(self, most: int) -> list[Point]:
        """At most about `most` of the points, by step, evenly; the first and the last among them."""
        return self.at(set(sample(self.steps, most)))

    def at(self, wanted: set[int]) -> list[Point]:
        """The points of these steps, each once, ordered by step, time and value."""
        found = [
            (step, self.times[place], self.values[place]) for place, step in enumerate(self.steps) if step in wanted
        ]
        return _once(sorted(found, key=_by_step))


def _rises(numbers: array[int]) -> bool:
    return all(map(lt, numbers, memoryview(numbers)[1:]))


def _by_time(point: Point) -> tuple[int, int, float]:
    return point[1], point[0], _comparable(point[2])


def _by_step(point: Point) -> tuple[int, int, float]:
    return point[0], point[1], _comparable(point[2])


def _comparable(value: float) -> float:
    return value if value == value else float("-inf")  # NaN


def _once(found: list[Point]) -> list[Point]:
    if not any(map(_same, pairwise(found))):
        return found
    return list({_key(point): point for point in found}.values())


def _same(pair: tuple[Point, Point]) -> bool:
    return _key(pair[0]) == _key(pair[1])


def _key(point: Point) -> tuple[int, int, float | None]:
    return point[0], point[1], point[2] if point[2] == point[2] else None  # NaN is equal to itself here


def sample(steps: Iterable[int], most: int) -> list[int]:
    """At most `most` of these steps, evenly over their order, the first and the last among them."""
    ordered = sorted(set(steps))
    if len(ordered) <= most:
        return ordered
    if most == 1:
        return ordered[-1:]
    gap = (len(ordered) - 1) / (most - 1)
    return [ordered[round(place * gap)] for place in range(most)]
