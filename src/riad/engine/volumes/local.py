"""The local driver's options (`type`, `device`, `o`): a volume that is a mount of something else, as mount(8) says it.

Reading them is pure; what they say is mounted when the first container needs it and unmounted after the last.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import mounts
from riad.kernel.faults import Fault, Kind, invalid, unsupported

_KNOWN = ("type", "device", "o", "size")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3")
_FLAGS = {
    "bind": mounts.BIND,
    "rbind": mounts.BIND | mounts.REC,
    "ro": mounts.RDONLY,
    "nosuid": mounts.NOSUID,
    "nodev": mounts.NODEV,
    "noexec": mounts.NOEXEC,
    "sync": mounts.SYNCHRONOUS,
    "dirsync": mounts.DIRSYNC,
    "noatime": mounts.NOATIME,
    "nodiratime": mounts.NODIRATIME,
    "relatime": mounts.RELATIME,
    "strictatime": mounts.STRICTATIME,
}
_NO_FLAGS = {"rw", "suid", "dev", "exec", "async", "atime", "diratime", "defaults", "norelatime"}


@dataclass(frozen=True, slots=True)
class Mounting:
    """The arguments of mount(2)."""

    device: str
    kind: str
    flags: int
    data: str


def check_options(options: Mapping[str, str]) -> None:
    """Raises INVALID with Docker's sentences, UNSUPPORTED for a size without a quota to hold it."""
    for name in options:
        if name not in _KNOWN:
            raise invalid(f'invalid option: "{name}"')
    if "size" in options:
        raise unsupported("quota size requested but no quota support; a tmpfs takes its size as o=size=SIZE")
    for name in ("device", "type"):
        if options and name not in options:
            raise invalid(f'missing required option: "{name}"')
    if "bind" in options.get("o", "").split(",") and not options["device"].startswith("/"):
        raise invalid(f'invalid option: device "{options["device"]}": a bind needs an absolute path')


def mounting(options: Mapping[str, str]) -> Mounting:
    """What `options` (checked before) ask for.

    >>> mounting({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,noexec"})
    Mounting(device='tmpfs', kind='tmpfs', flags=8, data='size=1m')
    """
    flags, data = 0, []
    for option in filter(None, options.get("o", "").split(",")):
        if option in _FLAGS:
            flags |= _FLAGS[option]
        elif option not in _NO_FLAGS:
            data.append(option)
    kind = "" if flags & mounts.BIND else options["type"]
    return Mounting(options["device"], kind, flags, ",".join(data))


def mount(options: Mapping[str, str], target: Path) -> None:
    """Blocking: a server's name is looked up. Raises INTERNAL with Docker's sentence and the kernel's reason."""
    wanted = mounting(options)
    try:
        data = _with_address(wanted) if options["type"] in _NETWORK else wanted.data
        mounts.mount(wanted.device, target, kind=wanted.kind, flags=wanted.flags, data=data)
        if wanted.flags & mounts.BIND and wanted.flags & ~(mounts.BIND | mounts.REC):
            mounts.mount("none", target, flags=wanted.flags | mounts.REMOUNT)  # a bind takes its flags only then
    except Fault as fault:
        mounts.unmount(target)
        told = f", data: {wanted.data}" if wanted.data else ""
        reason = fault.message.rpartition(": ")[2].lower()
        raise Fault(
            Kind.INTERNAL,
            f"error while mounting volume '{target}': failed to mount local volume: "
            f"mount {wanted.device}:{target}, flags: {wanted.flags:#x}{told}: {reason}",
        ) from None


def _with_address(wanted: Mounting) -> str:
    """The kernel takes `addr=` as a number only."""
    data = []
    for option in wanted.data.split(","):
        key, _, value = option.partition("=")
        if key == "addr":
            try:
                value = socket.getaddrinfo(value, None)[0][4][0]  # type: ignore[assignment]
            except OSError as error:
                raise Fault(Kind.INTERNAL, f"cannot look up {value}: {error.strerror}") from None
            option = f"addr={value}"
        data.append(option)
    return ",".join(data)
