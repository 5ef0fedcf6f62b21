"""`Mounts` and their options; `Binds` and `Tmpfs` are read where the image is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from riad.engine.containers.model import MountWish
from riad.engine.dockerapi.create_body.fields import AT, Json, objects, refuse_unknown
from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field, text_map, texts

FIELDS = frozenset(["Binds", "Mounts", "Tmpfs", "VolumesFrom", "VolumeDriver"])
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
        mounts=tuple(_mount(item, f"{AT}Mounts/{index}/") for index, item in objects(body, "Mounts")),
        tmpfs=text_map(body, "Tmpfs", at=AT),
        volumes_from=texts(body, "VolumesFrom", at=AT),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """The members a mount of one kind may have beside Type, Source, Target and ReadOnly."""

    members: frozenset[str]
    read: _Reader


def _mount(body: dict[str, Any], at: str) -> MountWish:
    kind = field(body, "Type", str, "", at=at) or "volume"
    if kind not in _KINDS:
        raise invalid(f'invalid mount config for type "{kind}": mount type unknown: "{kind}"')
    known = {"Type", "Source", "Target", "ReadOnly", "Consistency"} | _KINDS[kind].members
    refuse_unknown(body, frozenset(known), at)
    if not field(body, "Target", str, "", at=at):
        raise invalid(f'invalid mount config for type "{kind}": field Target must not be empty')
    return _KINDS[kind].read(body, at)


def _bind_mount(body: Json, at: str) -> MountWish:
    source = field(body, "Source", str, "", at=at)
    if not source.startswith("/"):
        raise invalid(
            f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
        )
    options: dict[str, Any] = field(body, "BindOptions", dict, {}, at=at)
    refuse_unknown(options, frozenset({"Propagation", "CreateMountpoint", "NonRecursive"}), f"{at}BindOptions/")
    if options.get("NonRecursive"):
        raise unsupported(f"{at}BindOptions/NonRecursive is not supported by this engine")
    propagation = field(options, "Propagation", str, "", at=at)
    if propagation not in ("", "private", "rprivate", "shared", "rshared", "slave", "rslave"):
        raise invalid(f'invalid mount config for type "bind": invalid propagation: {propagation}')
    return MountWish(
        "bind",
        body["Target"],
        source,
        read_only=field(body, "ReadOnly", bool, False, at=at),
        propagation=propagation,
        create_source=field(options, "CreateMountpoint", bool, False, at=at),
    )


def _volume_mount(body: Json, at: str) -> MountWish:
    options: dict[str, Any] = field(body, "VolumeOptions", dict, {}, at=at)
    refuse_unknown(options, frozenset({"NoCopy", "Labels", "DriverConfig"}), f"{at}VolumeOptions/")
    driver: dict[str, Any] = field(options, "DriverConfig", dict, {}, at=at)
    return MountWish(
        "volume",
        body["Target"],
        field(body, "Source", str, "", at=at),
        read_only=field(body, "ReadOnly", bool, False, at=at),
        no_copy=field(options, "NoCopy", bool, False, at=at),
        driver=field(driver, "Name", str, "", at=at),
        driver_options=text_map(driver, "Options", at=at),
        labels=text_map(options, "Labels", at=at),
    )


def _tmpfs_mount(body: Json, at: str) -> MountWish:
    if body.get("Source"):
        raise invalid('invalid mount config for type "tmpfs": field Source must not be specified')
    options: dict[str, Any] = field(body, "TmpfsOptions", dict, {}, at=at)
    refuse_unknown(options, frozenset({"SizeBytes", "Mode"}), f"{at}TmpfsOptions/")
    size, mode = field(options, "SizeBytes", int, 0, at=at), field(options, "Mode", int, 0, at=at)
    texts_ = [f"size={size}"] if size else []
    texts_ += [f"mode={mode:o}"] if mode else []
    return MountWish(
        "tmpfs", body["Target"], read_only=field(body, "ReadOnly", bool, False, at=at), options=tuple(texts_)
    )


_KINDS: Mapping[str, _Kind] = {
    "bind": _Kind(frozenset({"BindOptions"}), _bind_mount),
    "volume": _Kind(frozenset({"VolumeOptions"}), _volume_mount),
    "tmpfs": _Kind(frozenset({"TmpfsOptions"}), _tmpfs_mount),
}
