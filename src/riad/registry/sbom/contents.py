"""The files of an image that say what is installed, read from its layers, with what upper layers remove taken away.

What was found is kept beside the blobs, so that an image is read once.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO

from riad.kernel.blobs import BlobStore
from riad.kernel.faults import Fault, invalid
from riad.oci import media, whiteouts
from riad.oci.descriptor import Descriptor
from riad.oci.manifest import Manifest, parse_manifest
from riad.registry.blobs import key
from riad.registry.manifests import ManifestInfo
from riad.registry.sbom.packages import Package, is_interesting, packages_in

KEPT = "registry/sbom"
_LARGEST = 32 << 20
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """`unread` are layers that could not be read, and why: then something may be missing."""

    packages: tuple[Package, ...]
    unread: tuple[str, ...] = ()


def contents(store: BlobStore, info: ManifestInfo) -> Contents:
    """Of one image, not of an index. Raises INVALID for what is no image."""
    place = f"{KEPT}/{info.digest.partition(':')[2]}.{_FORMAT}.json"
    if store.size(place) is not None:
        store.touch(place)
        with store.open(place) as file:
            return _from_json(file.read())
    if info.media_type in media.INDEXES:
        raise invalid("this is an index of several platforms: ask for one of its images")
    with store.open(key(info.digest)) as file:
        manifest = parse_manifest(file.read(), info.media_type)
    assert isinstance(manifest, Manifest)
    found = _read(store, manifest)
    with store.write(place) as file:
        file.write(json.dumps({"packages": [asdict(p) for p in found.packages], "unread": found.unread}).encode())
    return found


def _from_json(body: bytes) -> Contents:
    raw = json.loads(body)
    return Contents(tuple(Package(**package) for package in raw["packages"]), tuple(raw["unread"]))


def _read(store: BlobStore, manifest: Manifest) -> Contents:
    files: dict[str, bytes] = {}
    unread: list[str] = []
    for layer in manifest.layers:
        try:
            with store.open(key(layer.digest)) as file:
                for path, body in _changes(file, layer):
                    _apply(files, path, body)
        except Fault as fault:
            unread.append(f"{layer.digest}: {fault.message}")
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            unread.append(f"{layer.digest}: {error}")
    return Contents(tuple(packages_in(files)), tuple(unread))


def _changes(file: BinaryIO, layer: Descriptor) -> Iterator[tuple[str, bytes | None]]:
    """(path, content) of what a layer brings and (path, None) of what it removes."""
    if ".tar" not in layer.media_type or layer.media_type.endswith(("zstd", "encrypted")):
        raise invalid(f"layers of the type {layer.media_type} are not read")
    mode = "r|gz" if layer.media_type.endswith("gzip") else "r|*"
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for entry in archive:
            path = entry.name.removeprefix("./").strip("/")
            folder, _, name = path.rpartition("/")
            removed = whiteouts.removed_name(name)
            if name == whiteouts.OPAQUE:
                yield f"{folder}/", None
            elif removed is not None:
                yield f"{folder}/{removed}".lstrip("/"), None
            elif entry.isreg() and entry.size <= _LARGEST and is_interesting(path):
                content = archive.extractfile(entry)
                yield path, content.read() if content is not None else b""


def _apply(files: dict[str, bytes], path: str, body: bytes | None) -> None:
    if body is not None:
        files[path] = body
        return
    below = path if path.endswith("/") else f"{path}/"
    for known in [known for known in files if known == path or known.startswith(below)]:
        del files[known]
