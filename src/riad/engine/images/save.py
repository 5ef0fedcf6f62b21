"""`docker save`: images as one tar, an OCI image layout and Docker's older format at once, streamed as it is made.

Layers go in uncompressed, under their diff IDs: identical for every save, and nothing is compressed twice.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.kernel.faults import Fault
from riad.oci import media
from riad.oci.config import ImageConfig
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest, digest_of
from riad.oci.manifest import Index, Manifest
from riad.oci.reference import Reference, parse_reference

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class _Saved:
    """One image of the archive with the names it is saved under; `config` are its exact bytes."""

    image: Image
    names: tuple[Reference, ...]
    config: bytes
    layers: tuple[Descriptor, ...]

    def manifest(self) -> bytes:
        config = Descriptor(media.OCI_CONFIG, self.image.id, len(self.config))
        return Manifest(media.OCI_MANIFEST, config, self.layers).encode()


def save(images: Images, names: Sequence[str]) -> Iterator[bytes]:
    """The archive in pieces; read them in a thread. Raises NOT_FOUND at once for a name that is not here."""
    chosen = _chosen(images, names)
    tars = {diff_id: images.layers.tar(diff_id) for saved in chosen for diff_id in saved.image.layers}
    return _archive(chosen, tars)


def saved_images(images: Images, names: Sequence[str]) -> list[Image]:
    """What `save` of the names takes. Raises NOT_FOUND."""
    return [saved.image for saved in _chosen(images, names)]


def save_unnamed(images: Images, config: ImageConfig, names: Sequence[Reference]) -> Iterator[bytes]:
    """The archive of an image that is not kept here; its layers are, and have to stay meanwhile."""
    body = config.encode()
    image = Image(digest_of(body), config, tuple(names), (), 0, images.clock.now())
    layers = tuple(Descriptor(media.OCI_LAYER, diff_id, images.layers.tar_size(diff_id)) for diff_id in config.diff_ids)
    tars = {diff_id: images.layers.tar(diff_id) for diff_id in config.diff_ids}
    return _archive([_Saved(image, tuple(names), body, layers)], tars)


def _chosen(images: Images, names: Sequence[str]) -> list[_Saved]:
    """Each image once, with all names it was asked for by; a repository without a tag stands for all its tags."""
    wanted: dict[Digest, list[Reference]] = {}
    for name in names:
        for image, reference in _matches(images, name):
            known = wanted.setdefault(image.id, [])
            if reference is not None and reference not in known:
                known.append(reference)
    return [_saved(images, images.by_id(image), tuple(references)) for image, references in wanted.items()]


def _matches(images: Images, name: str) -> list[tuple[Image, Reference | None]]:
    try:
        reference = parse_reference(name)
    except Fault:
        return [(images.get(name), None)]
    if reference.tag is None and reference.digest is None:
        tags = images.store.tags_in(reference.repository)
        if tags:
            return [(images.get(str(tag)), tag) for tag in tags]
    image = images.get(name)
    tagged = reference.with_default_tag()
    return [(image, tagged if tagged in image.tags else None)]


def _saved(images: Images, image: Image, names: tuple[Reference, ...]) -> _Saved:
    sizes = {diff_id: images.layers.tar_size(diff_id) for diff_id in image.layers}
    layers = tuple(Descriptor(media.OCI_LAYER, diff_id, sizes[diff_id]) for diff_id in image.layers)
    return _Saved(image, names, images.config_bytes(image.id), layers)


def _archive(chosen: Sequence[_Saved], tars: dict[Digest, Iterator[bytes]]) -> Iterator[bytes]:
    yield _folder("blobs") + _folder("blobs/sha256")
    written: set[Digest] = set()
    for saved in chosen:
        for layer in saved.layers:
            if layer.digest not in written:
                written.add(layer.digest)
                yield _header(_blob(layer.digest), layer.size)
                yield from tars[layer.digest]
                yield b"\0" * (-layer.size % _BLOCK)
        for body in (saved.config, saved.manifest()):
            digest = digest_of(body)
            if digest not in written:
                written.add(digest)
                yield _file(_blob(digest), body)
    yield _file("index.json", _index(chosen))
    yield _file("manifest.json", json.dumps([_legacy(saved) for saved in chosen]).encode())
    yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    repositories = _repositories(chosen)
    if repositories:
        yield _file("repositories", json.dumps(repositories).encode())
    yield b"\0" * (2 * _BLOCK)


def _index(chosen: Sequence[_Saved]) -> bytes:
    entries = []
    for saved in chosen:
        body = saved.manifest()
        entry = Descriptor(media.OCI_MANIFEST, digest_of(body), len(body), platform=saved.image.config.platform)
        annotations = [
            {"io.containerd.image.name": str(name), "org.opencontainers.image.ref.name": name.tag or ""}
            for name in saved.names
        ]
        entries += [replace(entry, annotations=notes) for notes in annotations] or [entry]
    return Index(media.OCI_INDEX, tuple(entries)).encode()


def _legacy(saved: _Saved) -> dict[str, Any]:
    return {
        "Config": _blob(saved.image.id),
        "RepoTags": [name.familiar for name in saved.names] or None,
        "Layers": [_blob(layer.digest) for layer in saved.layers],
        "LayerSources": {str(layer.digest): layer.to_json() for layer in saved.layers},
    }


def _repositories(chosen: Sequence[_Saved]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for saved in chosen:
        for name in saved.names:
            top = saved.image.layers[-1].hex if saved.image.layers else saved.image.id.hex
            found.setdefault(name.familiar_repository, {})[name.tag or ""] = top
    return found


def _blob(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _file(name: str, body: bytes) -> bytes:
    return _header(name, len(body)) + body + b"\0" * (-len(body) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _folder(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT)
