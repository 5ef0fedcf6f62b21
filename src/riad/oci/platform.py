"""Platforms: `linux/amd64`, `linux/arm/v7`; which entry of an index fits a host (image-spec, image-index.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from riad.kernel.faults import invalid
from riad.oci.fields import field

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "armhf": "arm",
}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7"}


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def to_json(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "os": self.os} | ({"variant": self.variant} if self.variant else {})

    def runs(self, image: Platform) -> bool:
        """Whether a host of this platform runs `image`. ARM variants run the lower ones."""
        if (self.os, self.architecture) != (image.os, image.architecture):
            return False
        mine, wanted = self._full_variant(), image._full_variant()
        return wanted <= mine if self.architecture == "arm" else wanted == mine

    def _full_variant(self) -> str:
        return self.variant or _DEFAULT_VARIANTS.get(self.architecture, "")


def platform_from_json(source: Mapping[str, Any]) -> Platform:
    return Platform(
        field(source, "os", str, "", at="platform/"),
        field(source, "architecture", str, "", at="platform/"),
        field(source, "variant", str, "", at="platform/"),
    )


def parse_platform(text: str) -> Platform:
    """Reads OS/ARCHITECTURE[/VARIANT]; a bare architecture means linux. Raises INVALID."""
    parts = text.lower().split("/")
    if not all(parts) or len(parts) > 3:
        raise invalid(f'"{text}" is an invalid platform: expected os/architecture[/variant], as in linux/amd64')
    if len(parts) == 1:
        parts = [parts[0], host_platform().architecture] if parts[0] == "linux" else ["linux", parts[0]]
    architecture = _ARCHITECTURES.get(parts[1], parts[1])
    variant = parts[2] if len(parts) == 3 else ""
    return Platform(parts[0], architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)


def host_platform(machine: str | None = None) -> Platform:
    """This machine's platform, or that of `uname -m` = `machine`."""
    machine = machine or os.uname().machine
    architecture = _ARCHITECTURES.get(machine, machine)
    return Platform("linux", architecture, {"armv7l": "v7", "armv6l": "v6"}.get(machine, ""))


def best(wanted: Platform, offered: Iterable[Platform | None]) -> int | None:
    """The index of the offer that suits `wanted` best: an equal one, else the highest variant that runs."""
    fitting = [(offer, place) for place, offer in enumerate(offered) if offer is not None and wanted.runs(offer)]
    if not fitting:
        return None
    exact = [place for offer, place in fitting if offer.variant == wanted.variant]
    if exact:
        return exact[0]
    highest = max(offer.variant for offer, _ in fitting)
    return next(place for offer, place in fitting if offer.variant == highest)
