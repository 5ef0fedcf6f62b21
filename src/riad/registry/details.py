"""One image for people: platforms, layers with what made them, configuration, signatures, what else refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.faults import Fault, invalid
from riad.oci import media
from riad.oci.config import ImageConfig, parse_image_config
from riad.oci.manifest import Index, Manifest, parse_manifest
from riad.registry import listings
from riad.registry.blobs import key
from riad.registry.manifests import ManifestInfo, resolve
from riad.registry.store import RepositoryRow, manifest, tagged

_COSIGN = {"sig": "signature", "att": "attestation", "sbom": "list of packages"}
_KINDS = {
    "application/vnd.dev.cosign.artifact.sig.v1+json": "signature",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "signature",
    "application/vnd.cncf.notary.signature": "signature",
    "application/vnd.in-toto+json": "attestation",
    "application/spdx+json": "list of packages",
    "application/vnd.cyclonedx+json": "list of packages",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the history; `digest` and `size` (compressed, in bytes) where it made a layer."""

    command: str
    created: str
    digest: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Platform:
    name: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Attached:
    """`kind` in words; `name` is a tag or a digest."""

    kind: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Details:
    """`info` is what is shown: of an index, its first image. `is_image` is false for artifacts of other kinds."""

    info: ManifestInfo
    digest: str
    platforms: tuple[Platform, ...]
    config: ImageConfig | None
    steps: tuple[Step, ...]
    attached: tuple[Attached, ...]

    @property
    def is_image(self) -> bool:
        return self.config is not None


def of(session: Session, store: BlobStore, repository: RepositoryRow, reference: str) -> Details:
    """Raises MANIFEST_UNKNOWN."""
    named = resolve(session, repository, reference)
    info = one_platform(session, store, repository, reference)
    body = _body(store, info)
    config = _config(store, body)
    return Details(
        info=info,
        digest=named.digest,
        platforms=tuple(_platforms(store, named)),
        config=config,
        steps=tuple(_steps(config, body)) if config is not None and isinstance(body, Manifest) else (),
        attached=tuple(_attached(session, store, repository, {named.digest, info.digest})),
    )


def one_platform(session: Session, store: BlobStore, repository: RepositoryRow, reference: str) -> ManifestInfo:
    """The image itself; of an index the first that is an image. Raises MANIFEST_UNKNOWN, INVALID for an empty one."""
    info = resolve(session, repository, reference)
    for _ in range(3):
        body = _body(store, info)
        if isinstance(body, Manifest):
            return info
        images = [entry for entry in body.manifests if entry.platform is None or entry.platform.os != "unknown"]
        if not images:
            raise invalid(f"{repository.name}:{reference} is an index without images")
        info = resolve(session, repository, images[0].digest)
    raise invalid(f"{repository.name}:{reference} is an index of indexes of indexes")


def _body(store: BlobStore, info: ManifestInfo) -> Manifest | Index:
    with store.open(key(info.digest)) as file:
        return parse_manifest(file.read(), info.media_type)


def _config(store: BlobStore, body: Manifest | Index) -> ImageConfig | None:
    if not isinstance(body, Manifest) or body.config.media_type not in media.IMAGE_CONFIGS:
        return None
    try:
        with store.open(key(body.config.digest)) as file:
            return parse_image_config(file.read())
    except Fault:
        return None


def _platforms(store: BlobStore, info: ManifestInfo) -> Iterator[Platform]:
    body = _body(store, info)
    if isinstance(body, Index):
        for entry in body.manifests:
            if entry.platform is not None and entry.platform.os != "unknown":
                yield Platform(str(entry.platform), entry.digest, entry.size)


def _steps(config: ImageConfig, body: Manifest) -> Sequence[Step]:
    layers = iter(body.layers)
    found = []
    for step in config.history:
        layer = None if step.empty_layer else next(layers, None)
        found.append(
            Step(
                step.created_by or step.comment, step.created, layer.digest if layer else "", layer.size if layer else 0
            )
        )
    found += [Step("", "", layer.digest, layer.size) for layer in layers]  # without a history
    return found


def _attached(session: Session, store: BlobStore, repository: RepositoryRow, digests: set[str]) -> Iterator[Attached]:
    for digest in sorted(digests):
        for suffix, kind in _COSIGN.items():
            tag = f"{digest.replace(':', '-')}.{suffix}"
            row = tagged(session, repository.id, tag)
            if row is not None:
                yield Attached(kind, tag, row.digest)
        for found in listings.referrers(session, store, repository.id, digest, artifact_type=None):
            kind = str(found.get("artifactType", ""))
            if manifest(session, repository.id, found["digest"]) is not None:
                yield Attached(_KINDS.get(kind, kind or "artifact"), found["digest"], found["digest"])
