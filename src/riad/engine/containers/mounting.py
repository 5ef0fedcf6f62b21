"""What is mounted into a container: reading `-v`, `--mount` and `--tmpfs` (pure), and settling their sources."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from riad.engine.containers.model import Container, HostSettings, MountPoint, MountWish
from riad.engine.volumes.model import Volume
from riad.kernel.faults import invalid

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
# z and Z mean nothing without SELinux, the consistencies nothing on Linux.
_KINDS = {
    **dict.fromkeys(("ro", "rw"), "rights"),
    **dict.fromkeys(("z", "Z"), "label"),
    **dict.fromkeys(("consistent", "cached", "delegated", "default"), "consistency"),
    **dict.fromkeys(_PROPAGATIONS, "propagation"),
    "nocopy": "copy",
}
_ON_BINDS = ("rights", "label", "consistency", "propagation")
_ON_VOLUMES = ("rights", "label", "consistency", "copy")
_TMPFS_VALUES = frozenset(("mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"))
_TMPFS_FLAGS = {
    *("defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync"),
    *("atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
    *("mand", "nomand", "remount", *_PROPAGATIONS, "unbindable", "runbindable"),
}
TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev")


def parse_bind(text: str) -> MountWish:
    """`SOURCE:TARGET[:OPTIONS]` or `TARGET`. Raises INVALID with Docker's sentences."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise invalid(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return MountWish("volume", checked_target(parts[0], text))
    source, target, options = parts[0], checked_target(parts[1], text), parts[2] if len(parts) == 3 else ""
    wish = MountWish("bind" if source.startswith("/") else "volume", target, source, mode=options)
    if wish.kind == "volume" and not _VOLUME_NAME.fullmatch(source):
        raise invalid(
            f'create {source}: "{source}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    return replace(_with_options(wish, options), create_source=wish.kind == "bind")


def _with_options(wish: MountWish, options: str) -> MountWish:
    """At most one option of each kind. Raises INVALID."""
    kinds = set()
    for option in filter(None, options.split(",")):
        kind = _KINDS.get(option, "")
        if not kind or kind in kinds or kind not in (_ON_BINDS if wish.kind == "bind" else _ON_VOLUMES):
            raise invalid(f"invalid mode: {options}")
        kinds.add(kind)
        if option == "ro":
            wish = replace(wish, read_only=True)
        elif kind == "copy":
            wish = replace(wish, no_copy=True)
        elif kind == "propagation":
            wish = replace(wish, propagation=option)
    return wish


def checked_target(target: str, text: str) -> str:
    """As `clean_target`, of the `-v` that was written `text`."""
    kind = "bind" if text.startswith("/") and ":" in text else "volume"
    return clean_target(target, f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": ")


def clean_target(target: str, where: str = "") -> str:
    """An absolute, clean path that is not the root. Raises INVALID beginning with `where`."""
    if not target.startswith("/"):
        raise invalid(f"{where}invalid mount path: '{target}' mount path must be absolute")
    clean = posixpath.normpath("/" + target.lstrip("/"))
    if clean == "/":
        raise invalid(f"{where}invalid specification: destination can't be '/'")
    return clean


def tmpfs_options(text: str) -> tuple[str, ...]:
    """Of `--tmpfs PATH:OPTIONS`. Raises INVALID for what a tmpfs does not know."""
    found = tuple(filter(None, text.split(",")))
    for option in found:
        name, equals, _ = option.partition("=")
        if name not in (_TMPFS_VALUES if equals else _TMPFS_FLAGS):
            raise invalid(f'invalid tmpfs option "{name}"')
    return found


def wishes(host: HostSettings, image_volumes: Iterable[str]) -> list[MountWish]:
    """Everything that is to be mounted; a volume of the image gives way to what the user puts there. Raises INVALID."""
    asked = [parse_bind(text) for text in host.binds]
    asked += [
        replace(mount, target=clean_target(mount.target, f'invalid mount config for type "{mount.kind}": '))
        for mount in host.mounts
    ]
    asked += [
        MountWish("tmpfs", clean_target(path), options=tmpfs_options(options)) for path, options in host.tmpfs.items()
    ]
    targets: set[str] = set()
    for mount in asked:
        if mount.target in targets:
            raise invalid(f"Duplicate mount point: {mount.target}")
        targets.add(mount.target)
    anonymous = (clean_target(path) for path in sorted(image_volumes))
    return asked + [MountWish("volume", target) for target in anonymous if target not in targets]


def check_source(wish: MountWish) -> None:
    """Raises INVALID for a folder of the host that is not there and may not be made."""
    if wish.kind == "bind" and not wish.create_source and not Path(wish.source).exists():
        raise invalid(f'invalid mount config for type "bind": bind source path does not exist: {wish.source}')


def settle(wish: MountWish, volume: Volume | None) -> MountPoint:
    """The mount point of a wish; `volume` is the one it names, or a new anonymous one."""
    return MountPoint(
        kind=wish.kind,
        target=wish.target,
        source=str(volume.mountpoint) if volume else posixpath.normpath(wish.source) if wish.source else "",
        volume=volume.name if volume else "",
        driver="local" if volume else "",
        read_only=wish.read_only,
        propagation=wish.propagation or ("rprivate" if wish.kind == "bind" else ""),
        no_copy=wish.no_copy,
        options=wish.options,
        mode=wish.mode or ("z" if volume and wish.source else ""),  # as Docker shows volumes that somebody named
        subpath=wish.subpath,
        recursion=wish.recursion,
    )


def inherited(others: Mapping[str, Container], volumes_from: Iterable[str], taken: Iterable[str]) -> list[MountPoint]:
    """The binds and volumes of the containers named by `--volumes-from NAME[:ro|:rw]`."""
    seen = set(taken)
    found = []
    for text in volumes_from:
        name, _, mode = text.partition(":")
        if mode not in ("", "ro", "rw", "z", "Z"):
            raise invalid(f"invalid volumes-from specification: '{text}': invalid mode: {mode}")
        for mount in others[name].mounts:
            if mount.kind != "tmpfs" and mount.target not in seen:
                seen.add(mount.target)
                found.append(replace(mount, read_only=mount.read_only or mode == "ro"))
    return found
