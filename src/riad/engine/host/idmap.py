"""Mounts that show other owners than the files have on disk (mount_setattr(2), MOUNT_ATTR_IDMAP; Linux 5.12).

An id-mapped mount takes its mapping from a user namespace: what a row of it calls the inside is the owner on disk, the
outside is the owner that processes see through the mount. One made with `0 100000 65536` shows files of root as those
of 100000, and files that 100000 writes through it belong to root on disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import mounts
from riad.kernel.faults import Fault, Kind

NEEDS = (5, 19)
"""The first kernel whose overlayfs takes id-mapped folders as layers."""
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same numbers on every architecture
_CAPGET, _CAPSET = {"x86_64": (125, 126), "aarch64": (90, 91), "riscv64": (90, 91)}.get(os.uname().machine, (184, 185))
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_CLONE, _CLOEXEC, _MOVE_EMPTY_PATH, _IDMAP = 1, os.O_CLOEXEC, 4, 0x100000
_CAPABILITY_VERSION = 0x20080522
_SHOWN = 65534

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Range:
    """`count` ids from `inside` on, that are those from `outside` on elsewhere."""

    inside: int
    outside: int
    count: int

    def __str__(self) -> str:
        return f"{self.inside} {self.outside} {self.count}"


@dataclass(frozen=True, slots=True)
class IdMap:
    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Who is outside what 0 is inside."""
        return outside(self.uids, 0), outside(self.gids, 0)


def outside(ranges: Sequence[Range], number: int) -> int:
    """The id outside. Raises ValueError where `number` has none."""
    for found in ranges:
        if found.inside <= number < found.inside + found.count:
            return number - found.inside + found.outside
    raise ValueError(f"{number} is not mapped")


def inside(ranges: Sequence[Range], number: int) -> int:
    """The id inside, 65534 ("nobody") where `number` has none, as the kernel shows it."""
    for found in ranges:
        if found.outside <= number < found.outside + found.count:
            return number - found.outside + found.inside
    return _SHOWN


def make_namespace(mapping: IdMap, path: Path) -> None:
    """A user namespace with this mapping that stays mounted on `path`. Blocking; raises INTERNAL."""
    path.touch(mode=0o600)
    try:
        with held_process(["unshare", "--user", "--"]) as pid:
            for name, ranges in (("uid_map", mapping.uids), ("gid_map", mapping.gids)):
                Path(f"/proc/{pid}/{name}").write_text("".join(f"{found}\n" for found in ranges))
            mounts.mount(f"/proc/{pid}/ns/user", path, flags=mounts.BIND)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Fault(Kind.INTERNAL, f"cannot make a user namespace: {error.strerror}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def held_process(command: Sequence[str]) -> Iterator[int]:
    """A process started by way of `command` (which ends by executing its arguments), alive inside the block."""
    wait = ("sh", "-c", "echo ready; read -r line")
    with subprocess.Popen(
        [*command, *wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise Fault(Kind.INTERNAL, f"{command[0]} failed: {process.stderr.read().strip()}")
            yield process.pid
        finally:
            process.stdin.close()


def mount(source: Path, target: Path, namespace: Path, *, recursive: bool = False) -> None:
    """Binds `source` to `target` with the mapping of the user namespace of `namespace`.

    Raises UNSUPPORTED for a file system that cannot be mapped, INTERNAL with the kernel's reason.
    """
    deep = _AT_RECURSIVE if recursive else 0
    owner = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        tree = _call(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _CLONE | _CLOEXEC | deep, what=f"open {source}")
        try:
            attributes = (ctypes.c_uint64 * 4)(_IDMAP, 0, 0, owner)
            flags = _AT_EMPTY_PATH | deep
            _call(_MOUNT_SETATTR, tree, b"", flags, attributes, ctypes.sizeof(attributes), what=f"map {source}")
            _call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_EMPTY_PATH, what=f"mount {target}")
        finally:
            os.close(tree)
    finally:
        os.close(owner)


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Within the block this thread makes files as `uid` and `gid`, with all its capabilities.

    The kernel refuses to make a file through an id-mapped mount for an owner that the mapping does not have, such as
    the host's root. Changing the file system ids takes capabilities out of effect, which are put back.
    """
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        _restore_capabilities()
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)


def _restore_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the lower 32 first, then the upper
    _call(_CAPGET, header, sets, what="read capabilities")
    sets[0], sets[3] = sets[1], sets[4]
    _call(_CAPSET, header, sets, what="set capabilities")


def _call(number: int, *arguments: object, what: str) -> int:
    converted = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    found: int = _libc.syscall(ctypes.c_long(number), *converted)
    if found < 0:
        code = ctypes.get_errno()
        raise Fault(Kind.INTERNAL, f"cannot {what} with other owners: {os.strerror(code)}")
    return found
