"""What a pushed manifest asks of its repository: read and checked, without asking whether what it names exists.

Taken are OCI image manifests and indexes (image-spec 1.1) and Docker's schema 2 manifests and lists. Everything else
is refused by its media type; so is a body that disagrees with its Content-Type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.kernel.faults import Fault, Kind
from riad.oci import media
from riad.oci.descriptor import Descriptor
from riad.oci.manifest import LARGEST_MANIFEST, Index, Manifest, parse_manifest
from riad.registry.faults import Reason, Refusal

_FOREIGN = ("application/vnd.docker.image.rootfs.foreign.", "application/vnd.oci.image.layer.nondistributable.")


@dataclass(frozen=True, slots=True)
class Document:
    """`blobs` and `manifests` must exist in the repository; `image_size` sums what the manifest names, in bytes."""

    media_type: str
    artifact_type: str | None
    config_digest: str | None
    subject: str | None
    blobs: frozenset[str]
    manifests: frozenset[str]
    image_size: int
    annotations: Mapping[str, str]


def read(body: bytes, content_type: str) -> Document:
    """Raises MANIFEST_INVALID, UNSUPPORTED, TOO_LARGE."""
    if len(body) > LARGEST_MANIFEST:
        raise Refusal(Reason.TOO_LARGE, f"a manifest may have {LARGEST_MANIFEST} bytes; this one has {len(body)}")
    declared = content_type.partition(";")[0].strip().lower()
    if declared and declared not in media.MANIFESTS | media.INDEXES:
        raise Refusal(Reason.UNSUPPORTED, f'manifests of type "{declared}" are not taken; push OCI or Docker schema 2')
    try:
        parsed = parse_manifest(body, declared)
    except Fault as fault:
        reason = Reason.UNSUPPORTED if fault.kind is Kind.UNSUPPORTED else Reason.MANIFEST_INVALID
        raise Refusal(reason, fault.message) from None
    if declared and parsed.media_type != declared:
        message = f"manifest/mediaType: {parsed.media_type} is not the Content-Type {declared}"
        raise Refusal(Reason.MANIFEST_INVALID, message)
    return _index(parsed) if isinstance(parsed, Index) else _image(parsed)


def _image(manifest: Manifest) -> Document:
    return Document(
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type or manifest.config.media_type or None,
        config_digest=manifest.config.digest,
        subject=_digest(manifest.subject),
        blobs=frozenset(part.digest for part in (manifest.config, *manifest.layers) if not _foreign(part)),
        manifests=frozenset(),
        image_size=manifest.config.size + sum(layer.size for layer in manifest.layers),
        annotations=manifest.annotations,
    )


def _index(index: Index) -> Document:
    return Document(
        media_type=index.media_type,
        artifact_type=index.artifact_type or None,
        config_digest=None,
        subject=_digest(index.subject),
        blobs=frozenset(),
        manifests=frozenset(entry.digest for entry in index.manifests),
        image_size=sum(entry.size for entry in index.manifests),
        annotations=index.annotations,
    )


def _foreign(part: Descriptor) -> bool:
    """A layer kept elsewhere, which its owner does not let anyone else distribute."""
    return bool(part.urls) and part.media_type.startswith(_FOREIGN)


def _digest(subject: Descriptor | None) -> str | None:
    return subject.digest if subject is not None else None
