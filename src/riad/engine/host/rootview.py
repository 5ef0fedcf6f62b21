"""A container's file system as an open root: the living one's through /proc, a resting one's put together for a while.

The file system of a container at rest, with its volumes, is mounted in a mount namespace that nothing else sees: the
host's mount table stays as it is, and a killed daemon leaves nothing mounted, because the namespace dies with its
descriptors. What is opened beneath `View.root` with `beneath.open_beneath` cannot leave the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from riad.engine.host import mounts, overlayfs
from riad.engine.host.beneath import open_beneath
from riad.engine.host.idmap import IdMap
from riad.kernel.faults import Fault, Kind

_CLONE_NEWNS = 0x00020000
_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Bound:
    """A folder or file of the host that is mounted at `target` inside the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """`layers` bottom first; without `upper` and `work` nothing can be written. `folder`: any folder to mount on.

    `read_only`: only what is `bound` can be written.
    """

    layers: Sequence[Path]
    upper: Path | None
    work: Path | None
    bound: Sequence[Bound]
    folder: Path
    read_only: bool = False


class View:
    """`root` is a descriptor of the container's `/`. Close it: until then the file systems stay mounted.

    `owners`: the view shows files as owned by what the container's own ids are on the host.
    """

    def __init__(self, root: int, namespace: int | None = None, *, owners: IdMap | None = None) -> None:
        self.root = root
        self.owners = owners
        self._namespace = namespace

    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Twice is no error."""
        for handle in (self.root, self._namespace):
            if handle is not None and handle >= 0:
                os.close(handle)
        self.root, self._namespace = -1, None


def of_process(pid: int, *, owners: IdMap | None = None) -> View:
    """What the process sees, with its volumes and tmpfs. Raises ProcessLookupError or FileNotFoundError."""
    return View(os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), owners=owners)


def of_layers(layout: Layout) -> View:
    """Puts a resting container's file system together. Blocking; raises INTERNAL with the kernel's reason."""
    views: list[View] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            views.append(_assemble(layout))
        except BaseException as error:
            errors.append(error)

    # In a thread of its own, which ends with its mount namespace and its own working directory.
    thread = threading.Thread(target=work, name="view")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return views[0]


def _assemble(layout: Layout) -> View:
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise Fault(Kind.INTERNAL, f"cannot make a mount namespace: {os.strerror(ctypes.get_errno())}")
    mounts.make_private(Path("/"))
    folder = _mount_root(layout)
    with contextlib.ExitStack() as opened:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, root)
        for bound in layout.bound:
            _bind(root, bound)
        if layout.read_only and layout.upper is not None:
            mounts.mount("none", folder, flags=mounts.BIND | mounts.REMOUNT | mounts.RDONLY)
        namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        opened.callback(os.close, namespace)
        _leave_host(root)
        opened.pop_all()
    return View(root, namespace)


def _mount_root(layout: Layout) -> Path:
    """Mounts the layers and returns where. What a view for reading lacks to mount on is made in memory."""
    if layout.upper is not None or not layout.bound:
        overlayfs.mount(layout.layers, layout.upper, layout.work, layout.folder)
        return layout.folder
    mounts.mount("view", layout.folder, kind="tmpfs", data="size=1m,mode=700")
    for name in ("upper", "work", "root"):
        (layout.folder / name).mkdir(mode=0o755)
    top = layout.layers[-1].stat()  # the container's `/` looks as its uppermost layer does
    os.chown(layout.folder / "upper", top.st_uid, top.st_gid)
    (layout.folder / "upper").chmod(stat.S_IMODE(top.st_mode))
    overlayfs.mount(layout.layers, layout.folder / "upper", layout.folder / "work", layout.folder / "root")
    return layout.folder / "root"


def _bind(root: int, bound: Bound) -> None:
    """Mounts over `target`, wherever links inside the container lead; makes what is missing."""
    try:
        target = open_beneath(root, bound.target, os.O_PATH)
    except FileNotFoundError:
        target = _make(root, bound)
    try:
        mounts.bind(bound.source, Path(f"/proc/thread-self/fd/{target}"))
        if bound.read_only:
            again = open_beneath(root, bound.target, os.O_PATH)
            try:
                here = Path(f"/proc/thread-self/fd/{again}")
                mounts.mount("none", here, flags=mounts.BIND | mounts.REMOUNT | mounts.RDONLY)
            finally:
                os.close(again)
    finally:
        os.close(target)


def _make(root: int, bound: Bound) -> int:
    """A folder, or an empty file, to mount on, and the folders above it."""
    parent = os.dup(root)
    parts = [part for part in bound.target.split("/") if part]
    try:
        for depth, part in enumerate(parts, start=1):
            if depth == len(parts) and not bound.source.is_dir():
                return os.open(part, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=parent)
            below = open_beneath(root, "/".join(parts[:depth]), os.O_RDONLY | os.O_DIRECTORY)
            os.close(parent)
            parent = below
        return os.dup(parent)
    finally:
        os.close(parent)


def _leave_host(root: int) -> None:
    """Makes the container's root this namespace's root and lets go of the host's mounts, lest we keep them busy."""
    os.fchdir(root)
    here = b"."
    if _libc.pivot_root(here, here) != 0:
        raise Fault(Kind.INTERNAL, f"cannot enter the container's files: {os.strerror(ctypes.get_errno())}")
    if _libc.umount2(here, _DETACH) != 0:
        raise Fault(Kind.INTERNAL, f"cannot leave the host's files: {os.strerror(ctypes.get_errno())}")
