"""Lines of numbers as pictures: scalable vector graphics without a script. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 6.0, 8.0, 18.0


@dataclass(frozen=True, slots=True)
class Line:
    """`path` for one run's points, and the place of its last one."""

    path: str
    end: tuple[float, float]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`rows` and `columns` are (place, label) of the grid's lines."""

    lines: Sequence[Line]
    rows: Sequence[tuple[float, str]]
    columns: Sequence[tuple[float, str]]
    width: float = WIDTH
    height: float = HEIGHT


def chart(series: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> Chart | None:
    """Of (label, points) each; None where no point can be drawn. What is no number is left out."""
    kept = [(label, [(x, y) for x, y in points if math.isfinite(y) and abs(y) < 1e300]) for label, points in series]
    kept = [(label, points) for label, points in kept if points]
    if not kept:
        return None
    xs = [x for _, points in kept for x, _ in points]
    ys = [y for _, points in kept for _, y in points]
    across, up = _Scale.over(xs, _LEFT, WIDTH - _RIGHT, room=0), _Scale.over(ys, HEIGHT - _BOTTOM, _TOP, room=0.06)
    return Chart(
        [_line(label, points, across, up) for label, points in kept],
        [(up.place(y), number(y)) for y in up.ticks(4)],
        [(across.place(x), number(x)) for x in across.ticks(5)],
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, room: float) -> _Scale:
        low, high = min(values), max(values)
        if low == high:
            pad = abs(low) * 0.1 or 1.0
            return cls(low - pad, high + pad, start, end)
        pad = (high - low) * room
        return cls(low - pad, high + pad, start, end)

    def place(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Round numbers within."""
        rough = (self.high - self.low) / most
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        return [round(n * step, 12) for n in range(first, first + most + 2) if n * step <= self.high]


def _line(label: str, points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> Line:
    places = [(across.place(x), up.place(y)) for x, y in points]
    return Line("M" + "L".join(f"{x:g} {y:g}" for x, y in places), places[-1], label)


def number(value: float) -> str:
    """In at most five figures: `0.03217`, `1200`, `1.5e+07`.

    >>> number(0.0321739), number(1200.0), number(15_000_000)
    ('0.03217', '1200', '1.5e+07')
    """
    if value != value:
        return "NaN"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"
