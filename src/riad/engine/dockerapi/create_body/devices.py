"""`Devices` and the rules for what may be done with them."""

from __future__ import annotations

from typing import TypedDict

from riad.engine.containers.model import DeviceWish
from riad.engine.dockerapi.create_body.fields import AT, Json, objects
from riad.oci.fields import field, texts

FIELDS = frozenset(["Devices", "DeviceCgroupRules"])


class Devices(TypedDict):
    """Members of `HostSettings`."""

    devices: tuple[DeviceWish, ...]
    device_rules: tuple[str, ...]


def read_devices(body: Json) -> Devices:
    """Whether the devices exist is seen where the container is made."""
    return Devices(
        devices=tuple(_device(item, f"{AT}Devices/{index}/") for index, item in objects(body, "Devices")),
        device_rules=texts(body, "DeviceCgroupRules", at=AT),
    )


def _device(body: Json, at: str) -> DeviceWish:
    host = field(body, "PathOnHost", str, "", at=at)
    return DeviceWish(
        host,
        field(body, "PathInContainer", str, "", at=at) or host,
        field(body, "CgroupPermissions", str, "", at=at) or "rwm",
    )
