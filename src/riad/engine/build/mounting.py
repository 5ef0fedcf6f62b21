"""`RUN --mount=`: what stands behind each mount while a command runs, and the digest of what it shows.

- bind: a folder or file of the context, a stage or an image; writing to it (`readwrite`) is thrown away afterwards;
- cache: a folder that outlives builds, by id; `locked` lets one command at a time in, `private` gives a fresh one when
  it is taken;
- tmpfs: memory;
- secret: what the client gives, in memory, never on a disk, in a layer or in a key;
- ssh: the client's agent behind a socket.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import posixpath
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from riad.dockerfile.instructions import Mount
from riad.engine.build.clients import Client
from riad.engine.build.evaluate import absolute
from riad.engine.build.place import Placement
from riad.engine.build.rootfs import workspace
from riad.engine.build.sources import Source, digest
from riad.engine.build.tree import DirectoryTree, Kind, Tree, resolve
from riad.engine.build.turns import Turns
from riad.engine.containers import spec
from riad.engine.host import mounts as host_mounts
from riad.engine.host.disk import on_disk
from riad.kernel.faults import invalid

OpenTree = Callable[[str | None], Awaitable[Tree]]
"""The tree that a mount's `from` means; None is the context."""

SECRETS = "/run/secrets"
AGENTS = "/run/buildkit/ssh_agent"
_SIZE = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)


class CacheFolders:
    """The folders of cache mounts, below `root`, and who is in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turns = Turns()

    @asynccontextmanager
    async def enter(
        self, mount: Mount, target: str, spare: Path, *, party: str = "", begin: Tree | None = None
    ) -> AsyncIterator[Path]:
        """The folder of `mount` for the time of one command; `spare` is where a private one may be made.

        Each `party` (`BuildOptions.party`) has folders of its own. A new one begins with what `source` is in `begin`.
        """
        options = mount.options
        name = hashlib.sha256(f"{party}\0{options.get('id', target)}".encode()).hexdigest()[:32]
        sharing = options.get("sharing", "shared")
        if sharing == "shared":
            with self._turns.seen(name):
                yield await asyncio.to_thread(self._made, self.root / name, mount, begin)
        elif sharing == "private" and self._turns.taken(name):
            yield await asyncio.to_thread(self._made, spare, mount, begin)
        else:
            async with self._turns.of(name):
                yield await asyncio.to_thread(self._made, self.root / name, mount, begin)

    def clear(self, names: Collection[str] | None = None) -> int:
        """Removes those (all but of `names`) that no command is in; returns the bytes the disk gets back. Blocking."""
        freed = 0
        for folder, busy in self.all():
            if not busy and (names is None or folder.name in names):
                freed += on_disk(folder)
                shutil.rmtree(folder, ignore_errors=True)
        return freed

    def all(self) -> list[tuple[Path, bool]]:
        """Every folder, and whether a command is in it."""
        found = sorted(self.root.iterdir()) if self.root.exists() else []
        return [(folder, self._turns.taken(folder.name)) for folder in found]

    def _made(self, folder: Path, mount: Mount, begin: Tree | None) -> Path:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            if begin is not None:
                placement = Placement(folder, owner=None)
                placement.copy(begin, [Source(_source(mount, begin).node, "")], "/")
                placement.finish()
            os.chmod(folder, _number(mount, "mode", 0o755, base=8))
            os.chown(folder, _number(mount, "uid", 0), _number(mount, "gid", 0))
        return folder


async def shown(mount: Mount, open_tree: OpenTree) -> str:
    """The digest of what the command sees through `mount`; caches, memory, secrets and agents do not count."""
    if mount.kind != "bind":
        return ""
    tree = await open_tree(mount.from_)
    source = _source(mount, tree)
    return await asyncio.to_thread(digest, tree, [source], owners=mount.from_ is not None)


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a command gets: mounts, and environment entries that no key and no history has."""

    mounts: tuple[spec.Mount, ...]
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Around:
    """What mounts are made of. `private` is a folder in memory, for what must not reach a disk."""

    cwd: str
    open_tree: OpenTree
    caches: CacheFolders
    client: Client
    private: Path
    party: str = ""


def needs_memory(wanted: tuple[Mount, ...]) -> bool:
    return any(mount.kind in ("secret", "ssh") for mount in wanted)


@asynccontextmanager
async def in_memory(folder: Path, *, real: bool) -> AsyncIterator[Path]:
    """The new `folder`, in memory where `real`; it and all in it are gone afterwards."""
    folder.mkdir(mode=0o700)
    if not real:
        yield folder
        return
    host_mounts.mount("tmpfs", folder, kind="tmpfs", flags=host_mounts.NOSUID | host_mounts.NODEV, data="mode=700")
    try:
        yield folder
    finally:
        host_mounts.unmount(folder)


@asynccontextmanager
async def mounted(wanted: tuple[Mount, ...], folder: Path, around: Around) -> AsyncIterator[Mounted]:
    """Makes ready what `wanted` needs below `folder` for one command. Raises INVALID for what is missing."""
    async with AsyncExitStack() as stack:
        found: list[spec.Mount] = []
        env: list[str] = []
        agents = 0
        for number, mount in enumerate(wanted):
            target = absolute(mount.options.get("target", ""), around.cwd).rstrip("/") or "/"
            place = folder / f"mount{number}"
            if mount.kind == "tmpfs":
                found.append(_tmpfs(mount, target))
            elif mount.kind == "cache":
                begin = await around.open_tree(mount.from_) if mount.from_ else None
                entered = around.caches.enter(mount, target, place, party=around.party, begin=begin)
                found.append(_bound(await stack.enter_async_context(entered), target, read_only=_on(mount, "readonly")))
            elif mount.kind == "secret":
                await _secret(mount, around, number, found, env)
            elif mount.kind == "ssh":
                agents += await _agent(mount, around, agents, stack, found, env)
            else:
                path = await _bind(mount, place, stack, await around.open_tree(mount.from_))
                found.append(_bound(path, target, read_only=not _on(mount, "readwrite")))
        yield Mounted(tuple(found), tuple(env))


async def _secret(mount: Mount, around: Around, number: int, found: list[spec.Mount], env: list[str]) -> None:
    """As a file, as a variable, or as both where both are asked for."""
    options = mount.options
    target, variable = options.get("target", ""), options.get("env", "")
    name = options.get("source") or options.get("id") or posixpath.basename(target)
    if not name:
        raise invalid("RUN --mount=type=secret needs id=NAME or target=PATH")
    content = await around.client.secret(name)
    if content is None:
        if _on(mount, "required"):
            raise invalid(f"secret {name}: not found")
        return
    if variable:
        env.append(f"{variable}={content.decode(errors='surrogateescape')}")
        if not target:
            return
    file = around.private / f"secret{number}"
    file.write_bytes(content)  # in a folder that only root enters
    _owned(file, mount, mode=0o400)
    found.append(_bound(file, absolute(target or f"{SECRETS}/{name}", around.cwd), read_only=True))


async def _agent(
    mount: Mount, around: Around, number: int, stack: AsyncExitStack, found: list[spec.Mount], env: list[str]
) -> int:
    """How many agents were mounted: 1, or 0 where the client has none of that id."""
    name = mount.options.get("id") or "default"
    if not await around.client.has_agent(name):
        if _on(mount, "required"):
            raise invalid(f"no SSH key {name} forwarded from the client")
        return 0
    socket = around.private / f"agent{number}"
    await stack.enter_async_context(around.client.agent(name, socket))
    _owned(socket, mount, mode=0o600)
    target = absolute(mount.options.get("target") or f"{AGENTS}.{number}", around.cwd)
    found.append(_bound(socket, target, read_only=False))
    if not number:
        env.append(f"SSH_AUTH_SOCK={target}")
    return 1


def _owned(path: Path, mount: Mount, *, mode: int) -> None:
    os.chown(path, _number(mount, "uid", 0), _number(mount, "gid", 0))
    os.chmod(path, _number(mount, "mode", mode, base=8))


async def _bind(mount: Mount, place: Path, stack: AsyncExitStack, tree: Tree) -> Path:
    source = _source(mount, tree)
    if isinstance(tree, DirectoryTree):
        origin = tree.root / source.node.path
        if source.node.kind is Kind.DIRECTORY and _on(mount, "readwrite"):
            return (await stack.enter_async_context(workspace(place, [origin]))).merged
        if not _on(mount, "readwrite"):
            return origin
    await asyncio.to_thread(_materialize, tree, source, place)
    return place / "content"


def _materialize(tree: Tree, source: Source, place: Path) -> None:
    """A copy on disk of what lies in a tar, or of a single file that may be written to."""
    place.mkdir(parents=True)
    placement = Placement(place, owner=None)
    placement.copy(tree, [Source(source.node, "content")], "/content")
    placement.finish()


def _source(mount: Mount, tree: Tree) -> Source:
    path = posixpath.normpath("/" + mount.options.get("source", "")).lstrip("/")
    node = resolve(tree, path)
    if node is None:
        raise invalid(f"RUN --mount: source={mount.options.get('source', '')} does not exist")
    return Source(node, posixpath.basename(path))


def _bound(path: Path, target: str, *, read_only: bool) -> spec.Mount:
    return spec.Mount(target, str(path), "bind", ("rbind", "rprivate", *(("ro",) if read_only else ())))


def _tmpfs(mount: Mount, target: str) -> spec.Mount:
    options = ["nosuid", "nodev", "mode=1777"]
    if size := mount.options.get("size"):
        match = _SIZE.fullmatch(size)
        if match is None:
            raise invalid(f"RUN --mount: size={size}: expected bytes, or a number with k, m or g")
        options.append(f"size={int(match[1]) * 1024 ** ' kmg'.index(match[2].lower() or ' ')}")
    return spec.Mount(target, "tmpfs", "tmpfs", tuple(options))


def _on(mount: Mount, name: str) -> bool:
    return mount.options.get(name, "false").lower() not in ("false", "0")


def _number(mount: Mount, name: str, default: int, *, base: int = 10) -> int:
    text = mount.options.get(name)
    try:
        return default if text is None else int(text, base)
    except ValueError:
        raise invalid(f"RUN --mount: {name}={text} is not a number") from None
