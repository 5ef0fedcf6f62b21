"""How long the verbs of containers took, as dockerd counts them: a histogram for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from riad.engine.metrics.exposition import Family, Value

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; the usual ones of Prometheus' clients."""
ACTIONS = ("changes", "commit", "create", "delete", "start")
_NAME = "engine_daemon_container_actions_seconds"


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0


@dataclass(slots=True)
class Timings:
    _taken: dict[str, _Histogram] = field(default_factory=lambda: {action: _Histogram() for action in ACTIONS})

    def took(self, action: str, seconds: float) -> None:
        """One of ACTIONS has been carried out."""
        histogram = self._taken[action]
        histogram.counts[bisect_left(BOUNDS, seconds)] += 1
        histogram.total += seconds

    def family(self) -> Family:
        values = (value for action, histogram in self._taken.items() for value in _values(action, histogram))
        return Family(_NAME, "The number of seconds it takes to process each container action", "histogram",
                      tuple(values))  # fmt: skip


def _values(action: str, histogram: _Histogram) -> Iterator[Value]:
    """Buckets count all up to their bound."""
    so_far = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        so_far += count
        yield Value({"action": action, "le": bound.removesuffix(".0")}, so_far, suffix="_bucket")
    yield Value({"action": action}, histogram.total, suffix="_sum")
    yield Value({"action": action}, so_far, suffix="_count")
