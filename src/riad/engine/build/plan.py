"""What has to be built, in which order, to reach a target. Pure.

Stages that the target does not stand on, directly or by `--from`, are not built at all: their FROMs are not even read.
A named context takes the place of the stage or image of its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from riad.dockerfile.instructions import Copy, Instruction, Run, Workdir
from riad.dockerfile.parse import Dockerfile, Stage
from riad.dockerfile.references import Base, bases, global_values, source_stage, sources_of
from riad.kernel.faults import Fault, invalid
from riad.oci.reference import parse_reference

IMAGE = "docker-image://"


@dataclass(frozen=True, slots=True)
class Named:
    """A named context that is no image."""

    name: str


Source = int | str | Named
"""What `--from` means: a stage by its index, an image, a named context."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`needs` are the stages it stands on or copies from; `sources` what each `--from` means.

    `first` is the number of its FROM among the build's steps, `title` its name for people ("" where there is one only).
    """

    stage: Stage
    base: Base
    needs: frozenset[int]
    sources: Mapping[str, Source]
    files: Named | None = None
    first: int = 0
    title: str = ""

    def places(self, triggers: Iterable[Instruction] = ()) -> dict[int, str]:
        """`[title 2/4]` for FROM and every step that makes files: by position, triggers before instructions, FROM -1.

        A stage on top of another one has no FROM of its own to do.
        """
        steps = [-1] if self.base.image is not None or self.files is not None else []
        steps += [i for i, step in enumerate((*triggers, *self.stage.instructions)) if isinstance(step, _FILES)]
        width = 1 + int(math.log10(len(steps))) if steps else 1
        start = f"[{self.title} " if self.title else "["
        return {step: f"{start}{number:>{width}}/{len(steps)}]" for number, step in enumerate(steps, start=1)}


_FILES = (Run, Copy, Workdir)


@dataclass(frozen=True, slots=True)
class Plan:
    """`stages` are the needed ones only, every stage after those it needs; the last one is what was asked for."""

    dockerfile: Dockerfile
    stages: tuple[PlannedStage, ...]
    global_values: Mapping[str, str]
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """The N of "Step 1/N"."""
        return len(self.dockerfile.global_args) + sum(1 + len(p.stage.instructions) for p in self.stages)


def plan(
    dockerfile: Dockerfile,
    build_args: Mapping[str, str | None],
    *,
    target: str,
    platform: str,
    named: Mapping[str, str] | None = None,
) -> Plan:
    """Raises INVALID for a target that is no stage, and for names that come out empty.

    `named` are the named contexts: an image as `docker-image://NAME`, anything else for files.
    """
    contexts = {context_name(name): value for name, value in (named or {}).items()}
    planned = [
        _planned(dockerfile, stage, base, contexts)
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
    return Plan(dockerfile, _numbered(dockerfile, [p for p in planned if p.stage.index in needed]), values, contexts)


def _numbered(dockerfile: Dockerfile, stages: list[PlannedStage]) -> tuple[PlannedStage, ...]:
    found: list[PlannedStage] = []
    first = len(dockerfile.global_args) + 1
    for planned in stages:
        stage = planned.stage
        title = stage.name or (f"stage-{stage.index}" if len(dockerfile.stages) > 1 else "")
        found.append(replace(planned, first=first, title=title))
        first += 1 + len(stage.instructions)
    return tuple(found)


def _planned(dockerfile: Dockerfile, stage: Stage, base: Base, contexts: Mapping[str, str]) -> PlannedStage:
    sources: dict[str, Source] = {}
    for name in sources_of(stage):
        found = source_stage(dockerfile, stage.index, name)
        context = _context(name, contexts)
        sources[name] = context if context is not None else name if found is None else found
    needs = {index for index in sources.values() if isinstance(index, int)}
    files = None
    name_of_base = base.image if base.stage is None else dockerfile.stages[base.stage].name
    context = _context(name_of_base or "", contexts)
    if isinstance(context, Named):
        base, files = Base(platform=base.platform), context
    elif context is not None:
        base = Base(image=context, platform=base.platform)
    if base.stage is not None:
        needs.add(base.stage)
    return PlannedStage(stage, base, frozenset(needs), sources, files)


def _context(name: str, contexts: Mapping[str, str]) -> str | Named | None:
    if not contexts:
        return None
    normal = context_name(name)
    value = contexts.get(normal)
    if value is None:
        return None
    return value.removeprefix(IMAGE) if value.startswith(IMAGE) else Named(normal)


def context_name(name: str) -> str:
    """One spelling of a named context's name: an image's with or without registry and tag, a stage's in any case."""
    try:
        return parse_reference(name.lower()).with_default_tag().familiar
    except Fault:
        return name.lower()


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
