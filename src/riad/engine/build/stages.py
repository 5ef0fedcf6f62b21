"""One stage of a build: its base, the base's triggers, its instructions one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from riad.dockerfile.instructions import Copy, Instruction, Run
from riad.dockerfile.parse import parse_trigger
from riad.engine.build import keys
from riad.engine.build.bases import Bases
from riad.engine.build.errors import located
from riad.engine.build.plan import Named, PlannedStage
from riad.engine.build.progress import (
    StepFailed,
    StepFinished,
    StepStarted,
    Tell,
    TriggersStarted,
    WorkFinished,
    WorkStarted,
    of_stage,
)
from riad.engine.build.stagestate import StageState, with_path
from riad.engine.build.steps import Steps
from riad.engine.images.model import Image
from riad.kernel.faults import Fault, unsupported
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.digest import digest_of
from riad.oci.reference import parse_reference


class StageRun:
    """`find_base` before everything else, then `carry_out` once."""

    def __init__(self, planned: PlannedStage, steps: Steps, bases: Bases, tell: Tell, total: int) -> None:
        self.planned = planned
        self._tell = of_stage(tell, planned.stage.index)
        again = steps.no_cache or planned.title in steps.options.no_cache_stages
        self._steps = replace(steps, progress=self._tell, no_cache=again)
        self._bases = bases
        self._total = total
        self._image: Image | None = None
        self._triggers: tuple[Instruction, ...] = ()

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The triggers of the base image and the stage's own; after `find_base`."""
        return (*self._triggers, *self.planned.stage.instructions)

    async def find_base(self) -> None:
        """Looks the base image up, pulling it where need be. Raises faults that name the FROM's line."""
        base = self.planned.base
        await self._tell(StepStarted(self.planned.first, self._total, self.planned.stage.base.text))
        with self._located(self.planned.stage.base):
            self._bases.check(base.platform)
            if base.image is None:
                return
            work = f"[internal] load metadata for {_full(base.image)}"
            await self._tell(WorkStarted(work))
            try:
                self._image = await self._steps.origins.image(base.image, self._tell)
            except Fault as fault:
                await self._tell(WorkFinished(work, error=fault.message))
                raise
            await self._tell(WorkFinished(work))
            on_build = self._image.config.config.on_build
            self._triggers = tuple(_safe_trigger(trigger, self.planned) for trigger in on_build)

    async def carry_out(self) -> StageState:
        """What the stage comes to. Raises faults that name file and line."""
        places = self.planned.places(self._triggers)
        number = self.planned.first
        base = self.planned.stage.base
        place = places.get(-1, "")
        if place:
            text = f"FROM {_full(self.planned.base.image)}" if self.planned.base.image else base.text
            await self._tell(StepStarted(0, self._total, base.text, f"{place} {text}"))
        state, shown = self._begun()
        triggers = self._triggers
        if self.planned.base.stage is not None:
            triggers = tuple(_safe_trigger(trigger, self.planned) for trigger in state.config.on_build)
        if state.config.on_build:
            state = state.with_config(replace(state.config, on_build=()))
        if self.planned.files is not None:
            with self._located(base):
                state = await self._steps.perform(*_whole(self.planned, state, self.planned.files))
            shown = _short(state)
        await self._tell(StepFinished(shown))
        if triggers:
            await self._tell(TriggersStarted(len(triggers)))
        for position, trigger in enumerate(triggers):
            state = await self._step(trigger, state, 0, places.get(position, ""))
        for position, instruction in enumerate(self.planned.stage.instructions):
            state = await self._step(
                instruction, state, number + 1 + position, places.get(len(self._triggers) + position, "")
            )
        return state

    async def add(self, instruction: Instruction, state: StageState, number: int) -> StageState:
        """One more step at the end, such as the labels of the command line."""
        return await self._step(instruction, state, number, "")

    def _begun(self) -> tuple[StageState, str]:
        """What the stage begins with, and its short name."""
        base = self.planned.base
        if base.stage is not None:
            state = replace(self._steps.origins.stage(base.stage), args={}, cmd_here=False)
            return state, _short(state)
        if self._image is None:
            state = StageState(ImageConfig(config=with_path(ContainerConfig())), keys.base_history("scratch"))
            return state, _short(state)
        config = replace(self._image.config, config=with_path(self._image.config.config), comment="")
        return StageState(config, keys.base_history(self._image.id)), self._image.id.short

    async def _step(self, instruction: Instruction, state: StageState, number: int, place: str) -> StageState:
        """`number` 0 is a trigger, which classic clients are not told of by itself."""
        if number or place:
            label = f"{place} {instruction.text}" if place else ""
            await self._tell(StepStarted(number, self._total, instruction.text, label))
        try:
            with self._located(instruction):
                after = await self._steps.perform(instruction, state, self.planned)
        except Fault as fault:
            await self._tell(StepFailed(getattr(fault, "bare", fault.message)))
            raise
        await self._tell(StepFinished(_short(after)))
        return after

    @contextmanager
    def _located(self, instruction: Instruction) -> Iterator[None]:
        try:
            yield
        except Fault as fault:
            raise located(fault, instruction.line, instruction.end_line) from None


def _whole(planned: PlannedStage, state: StageState, files: Named) -> tuple[Instruction, StageState, PlannedStage]:
    """A stage that stands on a named folder begins with all its files."""
    line = planned.stage.base.line
    copy = Copy(line=line, text=planned.stage.base.text, sources=("/",), target="/", from_=files.name)
    return copy, state, replace(planned, sources={**planned.sources, files.name: files})


def _short(state: StageState) -> str:
    """The first characters of the id that the image would have here."""
    return digest_of(state.image.encode()).short


def _full(name: str) -> str:
    """The name with registry and tag, as BuildKit shows it."""
    try:
        return str(parse_reference(name).with_default_tag())
    except Fault:
        return name


def _safe_trigger(trigger: str, planned: PlannedStage) -> Instruction:
    """An ONBUILD trigger of a base image, which may not bring in images that its Dockerfile does not name."""
    instruction = parse_trigger(trigger, line=planned.stage.base.line)
    others = [instruction.from_] if isinstance(instruction, Copy) else []
    others += [mount.from_ for mount in instruction.mounts] if isinstance(instruction, Run) else []
    if any(others):
        raise unsupported(f"the base image's trigger ONBUILD {trigger} names another image, which is not supported")
    return instruction
