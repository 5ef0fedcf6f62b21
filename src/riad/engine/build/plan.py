"""Which stages a build needs, and what stands on what. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.dockerfile.parse import Dockerfile, Stage
from riad.dockerfile.references import Base, bases, global_values, source_stage, sources_of
from riad.kernel.faults import invalid


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`needs` are the stages it stands on or copies from; `sources` what each `--from` means: a stage or an image."""

    stage: Stage
    base: Base
    needs: frozenset[int]
    sources: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Plan:
    """`stages` are the needed ones only, every stage after those it needs; the last one is what was asked for."""

    dockerfile: Dockerfile
    stages: tuple[PlannedStage, ...]
    global_values: Mapping[str, str]

    @property
    def steps(self) -> int:
        """The N of "Step 1/N"."""
        return len(self.dockerfile.global_args) + sum(1 + len(p.stage.instructions) for p in self.stages)


def plan(dockerfile: Dockerfile, build_args: Mapping[str, str | None], *, target: str, platform: str) -> Plan:
    """Raises INVALID for a target that is no stage, and for names that come out empty."""
    planned = [
        _planned(dockerfile, stage, base)
        for stage, base in zip(dockerfile.stages, bases(dockerfile, build_args, platform=platform), strict=True)
    ]
    wanted = _target(dockerfile, target)
    needed: set[int] = set()
    waiting = [wanted]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting.extend(planned[index].needs)
    values = global_values(dockerfile, build_args, platform=platform)
    return Plan(dockerfile, tuple(p for p in planned if p.stage.index in needed), values)


def _planned(dockerfile: Dockerfile, stage: Stage, base: Base) -> PlannedStage:
    sources: dict[str, int | str] = {}
    for name in sources_of(stage):
        found = source_stage(dockerfile, stage.index, name)
        sources[name] = name if found is None else found
    needs = {index for index in sources.values() if isinstance(index, int)}
    return PlannedStage(stage, base, frozenset(needs if base.stage is None else needs | {base.stage}), sources)


def _target(dockerfile: Dockerfile, target: str) -> int:
    if not target:
        return dockerfile.stages[-1].index
    stage = dockerfile.stage(target)
    if stage is not None:
        return stage.index
    if target.isascii() and target.isdigit() and len(target) < 6 and int(target) < len(dockerfile.stages):
        return int(target)
    known = ", ".join(stage.name for stage in dockerfile.stages if stage.name)
    names = f"its stages are {known}" if known else "none of its stages has a name"
    raise invalid(f"failed to reach build target {target} in Dockerfile: {names}")
