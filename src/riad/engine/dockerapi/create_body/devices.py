"""`Devices` and the rules for what may be done with them."""

from __future__ import annotations

import re
from typing import Any, TypedDict

from riad.engine.containers.model import DeviceWish
from riad.engine.dockerapi.create_body.fields import AT, Json, objects
from riad.kernel.faults import invalid
from riad.oci.fields import field, texts

FIELDS = frozenset(["Devices", "DeviceCgroupRules", "DeviceRequests"])
_CDI = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]*/[a-zA-Z][a-zA-Z0-9_-]*=[a-zA-Z0-9][a-zA-Z0-9_.:-]*")


class Devices(TypedDict):
    """Members of `HostSettings`."""

    devices: tuple[DeviceWish, ...]
    device_rules: tuple[str, ...]
    cdi_devices: tuple[str, ...]


def read_devices(body: Json) -> Devices:
    """Whether the devices exist is seen where the container is made."""
    return Devices(
        devices=tuple(_device(item, f"{AT}Devices/{index}/") for index, item in objects(body, "Devices")),
        device_rules=texts(body, "DeviceCgroupRules", at=AT),
        cdi_devices=tuple(
            name for i, item in objects(body, "DeviceRequests") for name in _request(item, f"{AT}DeviceRequests/{i}/")
        ),
    )


def _request(body: Json, at: str) -> tuple[str, ...]:
    """The devices it names, for those of the Container Device Interface; there are no other drivers here."""
    driver = field(body, "Driver", str, "", at=at)
    wanted: list[Any] = field(body, "Capabilities", list, [], at=at)
    if driver != "cdi":
        shown = " ".join(f"[{' '.join(map(str, group))}]" for group in wanted if isinstance(group, list))
        raise invalid(f'could not select device driver "{driver}" with capabilities: [{shown}]')
    names = texts(body, "DeviceIDs", at=at)
    unknown = [name for name in names if not _CDI.fullmatch(name)]
    if unknown or not names:
        raise invalid(f"CDI device injection failed: unresolvable CDI devices {', '.join(unknown)}")
    return names


def _device(body: Json, at: str) -> DeviceWish:
    host = field(body, "PathOnHost", str, "", at=at)
    return DeviceWish(
        host,
        field(body, "PathInContainer", str, "", at=at) or host,
        field(body, "CgroupPermissions", str, "", at=at) or "rwm",
    )
