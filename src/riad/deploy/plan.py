"""What a roll-out does, in order, decided from what is live and what is wanted. Pure.

The steps up to `SwitchTraffic` run while the old release serves; the job is told right after it; the rest happens in
the background. Every step may be carried out again from its beginning: a restarted server repeats the one it was in.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT_RELEASES = 5
"""How many releases of an environment keep their image, the live one included."""
DRAIN_SECONDS = 30.0
"""How long connections to the old release may last before they are cut."""


@dataclass(frozen=True, slots=True)
class FetchImage:
    """The engine has the image, and its port is known."""


@dataclass(frozen=True, slots=True)
class StartContainer:
    """The container of the new release runs."""


@dataclass(frozen=True, slots=True)
class WaitHealthy:
    """It answers its health check."""


@dataclass(frozen=True, slots=True)
class SwitchTraffic:
    """New requests go to it, and to nothing else."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Waits for the old release's connections, at most `DRAIN_SECONDS`, then forgets it at the edge."""

    number: int


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Stops and removes the container of a release."""

    number: int


@dataclass(frozen=True, slots=True)
class PruneImages:
    """Images of releases that nobody can roll back to any more leave the engine."""


Before = FetchImage | StartContainer | WaitHealthy | SwitchTraffic
After = Drain | RemoveContainer | PruneImages


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps_done` of a roll-out counts through `before`, then `after`."""

    before: tuple[Before, ...]
    after: tuple[After, ...]

    def left_after(self, done: int) -> tuple[After, ...]:
        return self.after[max(0, done - len(self.before)) :]


def plan_rollout(current: int | None, wanted: int) -> Plan:
    """From live release number `current` (None: none) to release number `wanted`."""
    retire: tuple[After, ...] = (
        () if current is None or current == wanted else (Drain(current), RemoveContainer(current))
    )
    return Plan(
        before=(FetchImage(), StartContainer(), WaitHealthy(), SwitchTraffic()),
        after=(*retire, PruneImages()),
    )


def kept(live: int | None, originals: list[int]) -> frozenset[int]:
    """Which release numbers keep their image, given those that were ever in service, newest first (duplicates
    allowed) and the live one: what can still be rolled back to."""
    distinct = list(dict.fromkeys(originals))
    first = [live] if live is not None and live in distinct else []
    return frozenset([*first, *(number for number in distinct if number != live)][:KEPT_RELEASES])
