"""`Mounts` and their options; `Binds` and `Tmpfs` are read where the image is known."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from riad.engine.containers.model import MountWish
from riad.engine.dockerapi.create_body.fields import AT, Json, objects, refuse_unknown
from riad.kernel.faults import invalid
from riad.oci.fields import field, text_map, texts

FIELDS = frozenset(["Binds", "Mounts", "Tmpfs", "VolumesFrom", "VolumeDriver"])
_BIND_OPTIONS = frozenset(
    ["Propagation", "CreateMountpoint", "NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"]
)
_OPTIONS = frozenset({"BindOptions", "VolumeOptions", "TmpfsOptions"})
RECURSIVE_SINCE = (1, 44)
"""The version of the API in which read-only became read-only for mounts inside, too."""
_Reader = Callable[[Json, str], MountWish]


class Mounts(TypedDict):
    """Members of `HostSettings`."""

    binds: tuple[str, ...]
    mounts: tuple[MountWish, ...]
    tmpfs: Mapping[str, str]
    volumes_from: tuple[str, ...]


def read_mounts(body: Json) -> Mounts:
    """`Binds` and `Tmpfs` stay texts here: what they mean depends on the image and on each other."""
    if field(body, "VolumeDriver", str, "", at=AT) not in ("", "local"):
        raise invalid(
            f'error looking up volume plugin {body["VolumeDriver"]}: plugin "{body["VolumeDriver"]}" not found'
        )
    return Mounts(
        binds=texts(body, "Binds", at=AT),
        mounts=read_mount_list(body),
        tmpfs=text_map(body, "Tmpfs", at=AT),
        volumes_from=texts(body, "VolumesFrom", at=AT),
    )


def read_mount_list(body: Json) -> tuple[MountWish, ...]:
    """`Mounts` alone. Raises INVALID naming the member."""
    return tuple(_mount(item, f"{AT}Mounts/{index}/") for index, item in objects(body, "Mounts"))


@dataclass(frozen=True, slots=True)
class _Kind:
    """The members a mount of one kind may have beside Type, Source, Target and ReadOnly."""

    members: frozenset[str]
    read: _Reader


def _mount(body: dict[str, Any], at: str) -> MountWish:
    kind = field(body, "Type", str, "", at=at) or "volume"
    if kind not in _KINDS:
        raise invalid(f'invalid mount config for type "{kind}": mount type unknown')
    for other in _OPTIONS - _KINDS[kind].members:
        if body.get(other) is not None:
            raise invalid(f'invalid mount config for type "{kind}": field {other} must not be specified')
    known = {"Type", "Source", "Target", "ReadOnly", "Consistency"} | _KINDS[kind].members
    refuse_unknown(body, frozenset(known), at)
    if not field(body, "Target", str, "", at=at):
        raise invalid(f'invalid mount config for type "{kind}": field Target must not be empty')
    return _KINDS[kind].read(body, at)


def _bind_mount(body: Json, at: str) -> MountWish:
    source = field(body, "Source", str, "", at=at)
    if not source:
        raise invalid('invalid mount config for type "bind": field Source must not be empty')
    if not source.startswith("/"):
        raise invalid(
            f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
        )
    options: dict[str, Any] = field(body, "BindOptions", dict, {}, at=at)
    refuse_unknown(options, _BIND_OPTIONS, f"{at}BindOptions/")
    propagation = field(options, "Propagation", str, "", at=at)
    if propagation not in ("", "private", "rprivate", "shared", "rshared", "slave", "rslave"):
        raise invalid(f'invalid mount config for type "bind": invalid propagation mode: {propagation}')
    return MountWish(
        "bind",
        body["Target"],
        source,
        read_only=field(body, "ReadOnly", bool, False, at=at),
        propagation=propagation,
        recursion=_recursion(body, options, at),
        create_source=field(options, "CreateMountpoint", bool, False, at=at),
    )


def _recursion(body: Json, options: Json, at: str) -> str:
    """As `MountWish.recursion`. Raises INVALID for choices that exclude each other."""
    names = {"NonRecursive": "none", "ReadOnlyNonRecursive": "writable", "ReadOnlyForceRecursive": "readonly"}
    wanted = [name for name in names if field(options, name, bool, False, at=at)]
    for name in wanted:
        if name != "NonRecursive" and not body.get("ReadOnly"):
            raise invalid(f"mount options conflict: !ReadOnly && BindOptions.{name}")
    if "ReadOnlyForceRecursive" in wanted and len(wanted) > 1:
        raise invalid(f"mount options conflict: BindOptions.{wanted[0]} && BindOptions.ReadOnlyForceRecursive")
    return names[wanted[0]] if wanted else ""


def as_before_recursion(mounts: tuple[MountWish, ...]) -> tuple[MountWish, ...]:
    """For clients that know nothing of it, mounts inside a read-only folder stay writable."""
    return tuple(
        replace(mount, recursion="writable")
        if mount.kind == "bind" and mount.read_only and not mount.recursion
        else mount
        for mount in mounts
    )


def _volume_mount(body: Json, at: str) -> MountWish:
    options: dict[str, Any] = field(body, "VolumeOptions", dict, {}, at=at)
    refuse_unknown(options, frozenset({"NoCopy", "Labels", "DriverConfig", "Subpath"}), f"{at}VolumeOptions/")
    subpath = field(options, "Subpath", str, "", at=at)
    _check_volume(body, subpath)
    driver: dict[str, Any] = field(options, "DriverConfig", dict, {}, at=at)
    return MountWish(
        "volume",
        body["Target"],
        field(body, "Source", str, "", at=at),
        read_only=field(body, "ReadOnly", bool, False, at=at),
        no_copy=field(options, "NoCopy", bool, False, at=at),
        subpath=subpath,
        driver=field(driver, "Name", str, "", at=at),
        driver_options=text_map(driver, "Options", at=at),
        labels=text_map(options, "Labels", at=at),
    )


def _check_volume(body: Json, subpath: str) -> None:
    problem = ""
    if subpath and not body.get("Source"):
        problem = "must not set Subpath when using anonymous volumes"
    elif subpath.startswith("/") or posixpath.normpath(subpath or ".").split("/")[0] == "..":
        problem = "subpath must be a relative path within the volume"
    elif body.get("ReadOnly") and not body.get("Source"):
        problem = "must not set ReadOnly mode when using anonymous volumes"
    if problem:
        raise invalid(f'invalid mount config for type "volume": {problem}')


def _tmpfs_mount(body: Json, at: str) -> MountWish:
    if body.get("Source"):
        raise invalid('invalid mount config for type "tmpfs": field Source must not be specified')
    options: dict[str, Any] = field(body, "TmpfsOptions", dict, {}, at=at)
    refuse_unknown(options, frozenset({"SizeBytes", "Mode", "Options"}), f"{at}TmpfsOptions/")
    size, mode = field(options, "SizeBytes", int, 0, at=at), field(options, "Mode", int, 0, at=at)
    texts_ = [f"size={size}"] if size else []
    texts_ += [f"mode={mode:o}"] if mode else []
    given: list[Any] = field(options, "Options", list, [], at=at)
    for option in given:
        if option not in (["exec"], ["noexec"]):
            raise invalid(f'invalid mount config for type "tmpfs": invalid option: {option}')
        texts_.append(option[0])
    return MountWish(
        "tmpfs", body["Target"], read_only=field(body, "ReadOnly", bool, False, at=at), options=tuple(texts_)
    )


_KINDS: Mapping[str, _Kind] = {
    "bind": _Kind(frozenset({"BindOptions"}), _bind_mount),
    "volume": _Kind(frozenset({"VolumeOptions"}), _volume_mount),
    "tmpfs": _Kind(frozenset({"TmpfsOptions"}), _tmpfs_mount),
}
