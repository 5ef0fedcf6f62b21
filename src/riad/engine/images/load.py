"""`docker load`: images from an archive of `docker save` (any age since 1.10), podman, skopeo or an OCI layout.

Nothing of the archive is trusted: members are only looked up by the names that its own tables say, layers are unpacked
as a pull's are, with the diff IDs of the image's configuration checked. Images appear one by one, each whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from riad.engine.images.compression import Compression, decompress, layer_media_type, sniff
from riad.engine.images.local import Images
from riad.engine.images.model import Image, Layer
from riad.engine.images.progress import LayerProgress, Report, nowhere
from riad.engine.images.store import BlobRow
from riad.kernel.faults import invalid
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest, from_hash
from riad.oci.manifest import Manifest, parse_manifest
from riad.oci.platform import host_platform
from riad.oci.reference import Reference, parse_reference

_LARGEST_TABLE = 16 * 1024 * 1024
_PIECE = 1 << 20
_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image as the archive describes it: member names of its configuration and layers, bottom first."""

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...]


async def load(images: Images, archive: Path, *, report: Report = nowhere) -> list[Image]:
    """Takes all images of the archive file. Raises INVALID naming the member that is missing or wrong."""
    plain = await asyncio.to_thread(_plain, archive, images.layers.incoming)
    try:
        with plain.open("rb") as file:
            members = await asyncio.to_thread(_Members, file)
            loaded = []
            for entry in _entries(members):
                image = await _take(images, members, entry, report)
                await _tell(report, image, entry)
                images.announce("load", image.id, {"name": image.id})
                loaded.append(image)
            return loaded
    finally:
        if plain != archive:
            plain.unlink(missing_ok=True)


async def _take(images: Images, members: _Members, entry: _Entry, report: Report) -> Image:
    config = members.read(entry.config)
    diff_ids = parse_image_config(config).diff_ids
    if len(diff_ids) != len(entry.layers):
        raise invalid(f"{entry.config}: {len(diff_ids)} layers, the archive lists {len(entry.layers)}")
    layers: list[Layer] = []
    try:
        for diff_id, member in zip(diff_ids, entry.layers, strict=True):
            layers.append(await _layer(images, members, diff_id, member, report))
        return images.add(config, tags=entry.names)
    finally:
        for layer in layers:
            images.layers.unpin(layer.diff_id)


async def _layer(images: Images, members: _Members, diff_id: Digest, member: str, report: Report) -> Layer:
    here = images.layers.find(diff_id)
    if here is not None:
        images.layers.pin(diff_id)
        return here
    size = members.size(member)
    progress = LayerProgress(report, diff_id.short, total=size)
    await progress.moved("Loading layer", 0)
    handle, name = tempfile.mkstemp(prefix="load-", dir=images.layers.incoming)
    file = Path(name)
    try:
        kind, digest = await asyncio.to_thread(members.copy, member, handle)
        media_type = layer_media_type(kind)
        if media_type is None:
            raise invalid(f"{member}: layers compressed with {kind.value} are not supported in archives")
        layer = await images.layers.unpack(BlobRow(diff_id, digest, media_type, size), file)
    finally:
        file.unlink(missing_ok=True)
    await progress.moved("Loading layer", size)
    return layer


async def _tell(report: Report, image: Image, entry: _Entry) -> None:
    if not entry.names:
        await report({"stream": f"Loaded image ID: {image.id}\n"})
    for name in entry.names:
        await report({"stream": f"Loaded image: {name.familiar}\n"})


class _Members:
    """The archive's members by name; links among them, which old archives have, are followed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                self._found = {posixpath.normpath(member.name): member for member in archive}
        except (tarfile.TarError, ValueError) as error:
            raise invalid(f"the archive is not a tar: {error}") from None

    def __contains__(self, name: str) -> bool:
        return posixpath.normpath(name) in self._found

    def size(self, name: str) -> int:
        return self._member(name).size

    def read(self, name: str) -> bytes:
        member = self._member(name)
        if member.size > _LARGEST_TABLE:
            raise invalid(f"{name} in the archive has {member.size} bytes, too many for what it is")
        self._file.seek(member.offset_data)
        return self._file.read(member.size)

    def copy(self, name: str, handle: int) -> tuple[Compression, Digest]:
        """Writes a member to `handle`, which it closes; returns its compression and digest."""
        member, state = self._member(name), hashlib.sha256()
        self._file.seek(member.offset_data)
        kind, left = Compression.NONE, member.size
        with open(handle, "wb") as target:
            while left:
                piece = self._file.read(min(_PIECE, left))
                if not piece:
                    raise invalid(f"the archive ends in the middle of {name}")
                if left == member.size:
                    kind = sniff(piece)
                left -= len(piece)
                state.update(piece)
                target.write(piece)
        return kind, from_hash(state)

    def _member(self, name: str) -> tarfile.TarInfo:
        path = posixpath.normpath(name)
        for _ in range(8):
            member = self._found.get(path)
            if member is None:
                raise invalid(f"the archive lacks {name}")
            if member.isreg() and member.sparse is None:
                return member
            if not (member.issym() or member.islnk()):
                raise invalid(f"{name} in the archive is not a file")
            base = posixpath.dirname(path) if member.issym() else ""
            path = posixpath.normpath(posixpath.join(base, member.linkname))
        raise invalid(f"{name} in the archive is a link that leads nowhere")


def _entries(members: _Members) -> Iterator[_Entry]:
    if "manifest.json" in members:
        yield from _docker_entries(_json_list(members.read("manifest.json")))
    elif "index.json" in members:
        yield from _layout_entries(members)
    else:
        raise invalid("the archive has neither manifest.json nor index.json: a file system is for `docker import`")


def _docker_entries(table: list[Any]) -> Iterator[_Entry]:
    for place, item in enumerate(table):
        try:
            names = tuple(parse_reference(name) for name in item.get("RepoTags") or [])
            yield _Entry(str(item["Config"]), tuple(map(str, item["Layers"] or [])), names)
        except (LookupError, TypeError, AttributeError):
            raise invalid(f"manifest.json/{place}: expected Config, RepoTags and Layers") from None


def _layout_entries(members: _Members) -> Iterator[_Entry]:
    """The images of an OCI layout, each once, under all names that its index gives."""
    index = parse_manifest(members.read("index.json"), media.OCI_INDEX)
    if isinstance(index, Manifest):
        raise invalid("index.json in the archive is not an index")
    found: dict[Digest, tuple[Manifest, list[Reference]]] = {}
    for entry in index.manifests:
        manifest = _resolved(members, entry)
        if manifest is not None and manifest.config.media_type in media.IMAGE_CONFIGS:
            _, names = found.setdefault(manifest.config.digest, (manifest, []))
            if _NAME in entry.annotations:
                names.append(parse_reference(entry.annotations[_NAME]))
    for manifest, names in found.values():
        yield _Entry(_blob(manifest.config), tuple(map(_blob, manifest.layers)), tuple(names))


def _resolved(members: _Members, entry: Descriptor) -> Manifest | None:
    """The manifest that `entry` stands for on this host; None where the archive does not have that platform."""
    if _blob(entry) not in members:
        return None
    parsed = parse_manifest(members.read(_blob(entry)), entry.media_type)
    if isinstance(parsed, Manifest):
        return parsed
    chosen = parsed.choose(host_platform())
    return _resolved(members, chosen) if chosen is not None and chosen.digest != entry.digest else None


def _blob(entry: Descriptor) -> str:
    return f"blobs/{entry.digest.algorithm}/{entry.digest.hex}"


def _json_list(body: bytes) -> list[Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"manifest.json in the archive is not JSON: {error}") from None
    if not isinstance(found, list):
        raise invalid("manifest.json in the archive is not a list")
    return found


def _plain(archive: Path, folder: Path) -> Path:
    """The archive itself, or an uncompressed copy of it in `folder`."""
    with archive.open("rb") as file:
        kind = sniff(file.read(8))
        if kind is Compression.NONE:
            return archive
        file.seek(0)
        handle, name = tempfile.mkstemp(prefix="archive-", dir=folder)
        with open(handle, "wb") as target:
            for piece in decompress(file):
                target.write(piece)
    return Path(name)
