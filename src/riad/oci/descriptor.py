"""Descriptors: what a piece of content is, how large, and its digest (image-spec, descriptor.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as _field
from typing import Any

from riad.kernel.faults import invalid
from riad.oci.digest import Digest, parse_digest
from riad.oci.fields import field, text_map, texts
from riad.oci.platform import Platform, platform_from_json


@dataclass(frozen=True, slots=True)
class Descriptor:
    """`size` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = _field(default_factory=dict)
    urls: tuple[str, ...] = ()
    artifact_type: str = ""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            found["urls"] = list(self.urls)
        if self.platform is not None:
            found["platform"] = self.platform.to_json()
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        return found


def descriptor_from_json(source: Any, at: str) -> Descriptor:
    """Raises INVALID naming the path below `at`."""
    if not isinstance(source, dict):
        raise invalid(f"{at}: expected an object")
    at += "/"
    size = field(source, "size", int, -1, at=at)
    if size < 0:
        raise invalid(f"{at}size: expected a number of bytes")
    platform: dict[str, Any] = field(source, "platform", dict, {}, at=at)
    return Descriptor(
        field(source, "mediaType", str, "", at=at),
        parse_digest(field(source, "digest", str, "", at=at)),
        size,
        platform_from_json(platform) if platform else None,
        text_map(source, "annotations", at=at),
        texts(source, "urls", at=at),
        field(source, "artifactType", str, "", at=at),
    )
