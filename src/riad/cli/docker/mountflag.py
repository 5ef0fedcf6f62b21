"""Reading `--mount` as the docker command does: key=value, comma-separated. Pure."""

from __future__ import annotations

import csv
import os
from typing import Any

from riad.kernel.faults import invalid

_PLAIN = {
    "type": "Type",
    "source": "Source",
    "src": "Source",
    "target": "Target",
    "dst": "Target",
    "destination": "Target",
}
_FLAGS = {"readonly": ("", "ReadOnly"), "ro": ("", "ReadOnly"), "volume-nocopy": ("VolumeOptions", "NoCopy")}
_OPTIONS = {
    "bind-propagation": ("BindOptions", "Propagation"),
    "volume-subpath": ("VolumeOptions", "Subpath"),
    "tmpfs-size": ("TmpfsOptions", "SizeBytes"),
    "tmpfs-mode": ("TmpfsOptions", "Mode"),
}
_SIZES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def read_mount(text: str) -> dict[str, Any]:
    """A member of `HostConfig.Mounts`. Raises INVALID."""
    mount: dict[str, Any] = {"Type": "volume"}
    for entry in next(csv.reader([text]), []):
        key, equals, value = entry.partition("=")
        key = key.strip().lower()
        if key in _PLAIN and equals:
            mount[_PLAIN[key]] = value
        elif key in _FLAGS:
            section, name = _FLAGS[key]
            _section(mount, section)[name] = _flag(value, equals, entry)
        elif key in _OPTIONS and equals:
            section, name = _OPTIONS[key]
            _section(mount, section)[name] = _value(key, value)
        else:
            raise invalid(f"invalid field '{entry}' in --mount {text}")
    if not mount.get("Target"):
        raise invalid(f"--mount {text}: target is required")
    if mount["Type"] == "bind" and not str(mount.get("Source", "")).startswith("/"):
        mount["Source"] = os.path.abspath(str(mount.get("Source", "")))
    return mount


def _section(mount: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = mount.setdefault(name, {}) if name else mount
    return found


def _flag(value: str, equals: str, entry: str) -> bool:
    if not equals or value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise invalid(f"invalid value for --mount: {entry}: expected true or false")


def _value(key: str, value: str) -> str | int:
    if key == "tmpfs-mode":
        try:
            return int(value, 8)
        except ValueError:
            raise invalid(f"invalid value for {key}: {value}: expected an octal mode such as 1777") from None
    if key == "tmpfs-size":
        number, unit = value.rstrip("bkmgBKMG"), value[len(value.rstrip("bkmgBKMG")) :].lower()
        if not number.isdecimal() or unit not in _SIZES:
            raise invalid(f"invalid value for {key}: {value}: expected bytes, or a number with k, m or g")
        return int(number) * _SIZES[unit]
    return value
