"""Manifests and indexes: OCI's and Docker's are one shape under two sets of media types (image-spec, manifest.md).

A manifest's identity is the digest of its exact bytes: keep the bytes that came, never re-encode what was read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as _field
from typing import Any

from riad.kernel.faults import invalid, unsupported
from riad.oci import media
from riad.oci.descriptor import Descriptor, descriptor_from_json
from riad.oci.fields import field, load_object, text_map
from riad.oci.platform import Platform, best

LARGEST_MANIFEST = (
    4 * 1024 * 1024
)  # bytes; what registries must accept at least (distribution-spec, "Pushing manifests")


@dataclass(frozen=True, slots=True)
class Manifest:
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = _field(default_factory=dict)

    def encode(self) -> bytes:
        """The bytes to push, in the layout Docker prints: three spaces, so that digests equal those people know."""
        body: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        return json.dumps(body | _extras(self), indent=3).encode()


@dataclass(frozen=True, slots=True)
class Index:
    media_type: str
    manifests: tuple[Descriptor, ...]
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = _field(default_factory=dict)

    def choose(self, wanted: Platform) -> Descriptor | None:
        """The entry to run on `wanted`; an entry without a platform only where it is the only one."""
        place = best(wanted, (entry.platform for entry in self.manifests))
        if place is not None:
            return self.manifests[place]
        return self.manifests[0] if len(self.manifests) == 1 and self.manifests[0].platform is None else None

    def encode(self) -> bytes:
        body: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "manifests": [entry.to_json() for entry in self.manifests],
        }
        return json.dumps(body | _extras(self), indent=3).encode()


def parse_manifest(data: bytes, content_type: str = "") -> Manifest | Index:
    """Reads either kind. The body's own mediaType wins over `content_type`; neither: told by its members.

    Raises INVALID naming the path of what is wrong, UNSUPPORTED for schema 1.
    """
    if len(data) > LARGEST_MANIFEST:
        raise invalid(f"manifest of {len(data)} bytes is larger than {LARGEST_MANIFEST}")
    source = load_object(data, "manifest")
    media_type = field(source, "mediaType", str, "") or content_type.partition(";")[0].strip()
    if media_type in media.SCHEMA1 or source.get("schemaVersion") == 1:
        raise unsupported(
            "the image uses Docker's manifest schema 1, which is no longer read; push it again with a newer client"
        )
    if source.get("schemaVersion") != 2:
        raise invalid(f"manifest/schemaVersion: expected 2, found {source.get('schemaVersion')!r}")
    if media_type in media.INDEXES or (media_type not in media.MANIFESTS and "manifests" in source):
        return _index(source, media_type if media_type in media.INDEXES else media.OCI_INDEX)
    if media_type in media.MANIFESTS or "config" in source:
        return _manifest(source, media_type if media_type in media.MANIFESTS else media.OCI_MANIFEST)
    raise invalid(f"manifest/mediaType: {media_type or 'none'} is neither an image manifest nor an index")


def _manifest(source: dict[str, Any], media_type: str) -> Manifest:
    config = descriptor_from_json(source.get("config"), "manifest/config")
    return Manifest(media_type, config, _descriptors(source, "layers"), *_common(source))


def _index(source: dict[str, Any], media_type: str) -> Index:
    return Index(media_type, _descriptors(source, "manifests"), *_common(source))


def _descriptors(source: dict[str, Any], name: str) -> tuple[Descriptor, ...]:
    entries: list[Any] = field(source, name, list, [], at="manifest/")
    return tuple(descriptor_from_json(entry, f"manifest/{name}/{place}") for place, entry in enumerate(entries))


def _common(source: dict[str, Any]) -> tuple[str, Descriptor | None, dict[str, str]]:
    subject = source.get("subject")
    return (
        field(source, "artifactType", str, "", at="manifest/"),
        descriptor_from_json(subject, "manifest/subject") if subject is not None else None,
        text_map(source, "annotations", at="manifest/"),
    )


def _extras(source: Manifest | Index) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if source.artifact_type:
        extras["artifactType"] = source.artifact_type
    if source.subject is not None:
        extras["subject"] = source.subject.to_json()
    if source.annotations:
        extras["annotations"] = dict(source.annotations)
    return extras
