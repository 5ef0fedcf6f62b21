"""Boxes in memory: a box "runs" a Python coroutine. Keeps the contract of `riad.pipelines.runner.executor`.

    executor.program = script(b"hello\n", code=3, files={"/builds/demo/app/out.txt": b"x"})

Steering: `program(box)` is what a box does at each start; `away()` / `back()` make the place go and come while boxes
run on; `lose(name)` makes a box vanish; `missing` are images nobody has.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from riad.kernel.faults import not_found, unavailable
from riad.pipelines.runner.executor import Files, ImageUnavailable, Life, Order, Owner, Say, State


@dataclass
class FakeBox:
    order: Order
    files: dict[str, bytes] = field(default_factory=dict)
    log: bytearray = field(default_factory=bytearray)
    life: Life = Life.CREATED
    starts: int = 0
    exit_code: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        self.log += data
        self.poke()

    def poke(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def script(self) -> str:
        return self.files["/riad/run"].decode()


Program = Callable[[FakeBox], Awaitable[int]]


def script(output: bytes = b"", *, code: int = 0, files: Mapping[str, bytes] | None = None) -> Program:
    async def run(box: FakeBox) -> int:
        box.write(output)
        box.files.update(files or {})
        return code

    return run


def until_stopped(output: bytes = b"") -> Program:
    """Runs until it is asked to end."""

    async def run(box: FakeBox) -> int:
        box.write(output)
        await box.stopping.wait()
        return 143

    return run


class FakeExecutor:
    def __init__(self) -> None:
        self.boxes: dict[str, FakeBox] = {}
        self.program: Program = script()
        self.missing: set[str] = set()
        self.owner = Owner()
        self.removed: list[str] = []
        self._away = False

    def away(self) -> None:
        self._away = True
        for box in self.boxes.values():
            box.poke()

    def back(self) -> None:
        self._away = False

    def lose(self, name: str) -> None:
        box = self.boxes.pop(name)
        if box.task is not None:
            box.task.cancel()
        box.life = Life.ENDED
        box.poke()

    def _box(self, name: str) -> FakeBox:
        self._check()
        if name not in self.boxes:
            raise not_found(f"there is no box {name}")
        return self.boxes[name]

    def _check(self) -> None:
        if self._away:
            raise unavailable("the place is away")

    async def prepare(self, order: Order, files: Files, say: Say) -> None:
        await self.remove(order.name)
        if order.image.name in self.missing:
            raise ImageUnavailable(order.image.name, "nobody has it")
        say(f"Using image {order.image.name}")
        self.boxes[order.name] = FakeBox(order)
        await self.put(order.name, await files(self.owner))

    async def start(self, name: str) -> None:
        box = self._box(name)
        if box.life is not Life.RUNNING:
            box.life, box.starts, box.stopping = Life.RUNNING, box.starts + 1, asyncio.Event()
            box.task = asyncio.create_task(self._run(box, self.program))

    async def _run(self, box: FakeBox, program: Program) -> None:
        box.exit_code = await program(box)
        box.life = Life.ENDED
        box.poke()

    async def state(self, name: str) -> State:
        box = self._box(name)
        return State(box.life, str(box.starts) if box.starts else None, box.exit_code)

    async def output(self, name: str) -> AsyncIterator[bytes]:
        box, sent = self._box(name), 0
        while True:
            changed = box.changed
            if len(box.log) > sent:
                yield bytes(box.log[sent:])
                sent = len(box.log)
            self._check()
            if box.life is not Life.RUNNING and len(box.log) == sent:
                return
            if box.changed is changed:
                await changed.wait()

    async def wait(self, name: str) -> int:
        box = self._box(name)
        while box.life is Life.RUNNING:
            await box.changed.wait()
            self._check()
        return self._box(name).exit_code

    async def put(self, name: str, files: BinaryIO) -> None:
        with files, tarfile.open(fileobj=files) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    self._box(name).files["/" + member.name] = file.read()

    async def stop(self, name: str, *, grace: float) -> None:
        box = self._box(name)
        box.stopping.set()
        while box.life is Life.RUNNING:
            await box.changed.wait()

    async def fetch(self, name: str, path: str) -> AsyncIterator[bytes]:
        box = self._box(name)
        root = path.removesuffix("/.")
        above = root if path.endswith("/.") else root.rpartition("/")[0]
        found = {p: d for p, d in box.files.items() if p == root or p.startswith(root + "/")}
        if not found:
            raise not_found(f"there is no {path}")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for each, data in found.items():
                member = tarfile.TarInfo(each.removeprefix(above + "/"))
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        yield out.getvalue()

    async def environ(self, name: str) -> Mapping[str, str]:
        return self._box(name).order.environ

    async def remove(self, name: str) -> None:
        self._check()
        self.removed.append(name)
        box = self.boxes.pop(name, None)
        if box is not None and box.task is not None:
            box.task.cancel()
