from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import engine_rootfs
from build_engine import BASE, BuildEngine, build_engine
from buildkit_client import BuildKitClient
from riad.engine.build.options import BuildOptions
from riad.engine.build.progress import CacheUsed, Event, Output, StepStarted, Warned
from riad.engine.build.receive import receive
from riad.engine.host import overlayfs
from riad.engine.images.importing import import_image
from riad.engine.images.model import Image
from riad.oci.reference import parse_reference


@dataclass
class Told:
    """What a build told, and what it made."""

    events: list[Event] = field(default_factory=list)
    image: Image | None = None
    first_output: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def output(self) -> str:
        return b"".join(event.data for event in self.events if isinstance(event, Output)).decode()

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def done(self) -> list[str]:
        """The keywords of the steps that were not found in the cache."""
        texts: list[str] = []
        for event in self.events:
            if isinstance(event, StepStarted):
                texts.append(event.text.split()[0])
            elif isinstance(event, CacheUsed):
                texts.pop()
        return [text for text in texts if text != "FROM"]


class Workbench:
    """An engine with a base image, and short words for what tests do with it."""

    def __init__(self, engine: BuildEngine, folder: Path) -> None:
        self.engine = engine
        self._folder = folder

    async def build(
        self,
        dockerfile: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        options: BuildOptions | None = None,
        told: Told | None = None,
        mtime: int = 1000,
    ) -> Told:
        """`files`: name → content; a text is a symbolic link, except that a name ending in ! is executable."""
        told = told or Told()

        async def hear(event: Event) -> None:
            told.events.append(event)
            if isinstance(event, Output):
                told.first_output.set()

        async def body() -> AsyncIterator[bytes]:
            yield context({"Dockerfile": dockerfile.encode(), **(files or {})}, mtime=mtime)

        async with self.engine.builder.workplace() as folder:
            tree = await receive(body(), folder / "context.tar")
            told.image = await self.engine.builder.build(tree, options or BuildOptions(), folder=folder, progress=hear)
        return told

    @asynccontextmanager
    async def root(self, told: Told) -> AsyncIterator[Path]:
        """The image's file system, mounted for reading."""
        assert told.image is not None
        target = self._folder / "look"
        target.mkdir(exist_ok=True)
        paths = self.engine.images.layer_paths(told.image)
        overlayfs.mount(list(dict.fromkeys(reversed(paths)))[::-1], None, None, target)
        try:
            yield target
        finally:
            overlayfs.unmount(target)

    @property
    def buildkit(self) -> BuildKitClient:
        return BuildKitClient(self.engine.socket)

    def built(self, name: str = "made:1") -> Told:
        """What was made over BuildKit's protocol, as `root` wants it."""
        return Told(image=self.engine.images.get(name))

    def left_behind(self) -> list[str]:
        """Mounts, folders, containers and network namespaces of builds; nothing after any build."""
        mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if f"{self.engine.data}/build" in line]
        folders = [str(path) for path in (self.engine.data / "build" / "work").glob("*")]
        run = self.engine.socket.parent
        return [*mounts, *folders, *map(str, (run / "runc").glob("*")), *map(str, (run / "netns").glob("*"))]


def context(files: Mapping[str, bytes | str], *, mtime: int = 1000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.removesuffix("!"))
            entry.mtime, entry.mode = mtime, 0o755 if name.endswith("!") else 0o644
            entry.uid = entry.gid = 4711
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def base_archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return engine_rootfs.make_tar(tmp_path_factory.mktemp("base"))


Opened = Callable[[], AbstractAsyncContextManager[Workbench]]


@pytest.fixture
def opened(tmp_path: Path, base_archive: bytes) -> Opened:
    """Starts an engine on the test's own root; once more after it was closed is a restart."""

    @asynccontextmanager
    async def open_bench() -> AsyncIterator[Workbench]:
        async with build_engine(tmp_path) as engine:
            if engine.images.find(BASE) is None:
                await import_image(engine.images, io.BytesIO(base_archive), reference=parse_reference(BASE))
            yield Workbench(engine, tmp_path)

    return open_bench


@pytest.fixture
async def bench(opened: Opened) -> AsyncIterator[Workbench]:
    async with opened() as workbench:
        yield workbench
