"""Limits that name block devices by path get the numbers by which the kernel knows them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from riad.engine.containers.model import Container
from riad.engine.containers.spec import DeviceValue
from riad.kernel.faults import Fault, Kind

_BY_DEVICE = ("blkio_weight_devices", "read_bps", "write_bps", "read_iops", "write_iops")


def numbered(container: Container) -> Container:
    """Raises INTERNAL, as Docker does at the start, for a path that is missing or no block device."""
    host = container.settings.host
    found: dict[str, Any] = {
        name: _numbers(devices) for name in _BY_DEVICE if (devices := getattr(host.resources, name))
    }
    if not found:
        return container
    host = replace(host, resources=replace(host.resources, **found))
    return replace(container, settings=replace(container.settings, host=host))


def _numbers(devices: Iterable[DeviceValue]) -> tuple[DeviceValue, ...]:
    return tuple(_number(device) for device in devices)


def _number(device: DeviceValue) -> DeviceValue:
    try:
        status = os.stat(device.path)
    except OSError as error:
        raise Fault(Kind.INTERNAL, f"stat {device.path}: {(error.strerror or '').lower()}") from None
    if not stat.S_ISBLK(status.st_mode):
        raise Fault(Kind.INTERNAL, f"{device.path} is not a block device")
    return replace(device, major=os.major(status.st_rdev), minor=os.minor(status.st_rdev))
