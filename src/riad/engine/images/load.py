"""`docker load`: images from an archive of `docker save` (any age since 1.10), podman, skopeo or an OCI layout.

Nothing of the archive is trusted: members are only looked up by the names that its own tables say, layers are unpacked
as a pull's are, with the diff IDs of the image's configuration checked. Images appear one by one, each whole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass
from typing import Any

from riad.engine.images.conduit import Conduit
from riad.engine.images.local import Images
from riad.engine.images.model import Image, Layer
from riad.engine.images.progress import LayerProgress, Report, nowhere
from riad.engine.images.store import BlobRow
from riad.engine.images.unload import Unloaded, unload
from riad.kernel.faults import invalid
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest
from riad.oci.manifest import Manifest, parse_manifest
from riad.oci.platform import host_platform
from riad.oci.reference import Reference, parse_reference

_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image as the archive describes it: member names of its configuration and layers, bottom first."""

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...]


async def load(images: Images, archive: AsyncIterable[bytes], *, report: Report = nowhere) -> list[Image]:
    """Takes all images of the archive. Raises INVALID naming the member that is missing or wrong."""
    known = images.layers.digests()
    unloaded = Unloaded()
    for diff_id in known.values():
        images.layers.pin(diff_id)  # what the archive need not bring must not go meanwhile
    try:
        await _receive(images, archive, frozenset(known), unloaded, report)
        loaded = []
        for entry in _entries(unloaded):
            image = _take(images, unloaded, entry)
            await _tell(report, image, entry)
            images.announce("load", image.id, {"name": image.id})
            loaded.append(image)
        return loaded
    finally:
        for diff_id in known.values():
            images.layers.unpin(diff_id)
        await images.layers.in_thread(unloaded.discard, images.layers)


async def _receive(
    images: Images, archive: AsyncIterable[bytes], known: frozenset[str], unloaded: Unloaded, report: Report
) -> None:
    conduit = Conduit()
    work = images.layers.begin(unload, iter(conduit), images.layers, known, unloaded)
    bars: dict[str, LayerProgress] = {}
    try:
        async for piece in archive:
            await conduit.put(piece)
            await _show(unloaded, bars, report)
        conduit.close()
        await asyncio.shield(work)
    finally:
        conduit.close(ConnectionError("given up"))
        await asyncio.wait([work])


async def _show(unloaded: Unloaded, bars: dict[str, LayerProgress], report: Report) -> None:
    name, done, total = unloaded.passing
    if name in unloaded.layers or total > 1 << 20:
        short = next((part[:12] for part in reversed(name.split("/")) if len(part) >= 12), name[:12])
        if name not in bars:
            bars[name] = LayerProgress(report, short, total=total)
        await bars[name].moved("Loading layer", done)


def _take(images: Images, unloaded: Unloaded, entry: _Entry) -> Image:
    config = unloaded.table(entry.config)
    diff_ids = parse_image_config(config).diff_ids
    if len(diff_ids) != len(entry.layers):
        raise invalid(f"{entry.config}: {len(diff_ids)} layers, the archive lists {len(entry.layers)}")
    layers: list[Layer] = []
    try:
        for diff_id, member in zip(diff_ids, entry.layers, strict=True):
            layers.append(_layer(images, unloaded, diff_id, member))
        return images.add(config, tags=entry.names)
    finally:
        for layer in layers:
            images.layers.unpin(layer.diff_id)


def _layer(images: Images, unloaded: Unloaded, diff_id: Digest, member: str) -> Layer:
    """The layer, pinned."""
    here = images.layers.find(diff_id)
    if here is not None:
        images.layers.pin(diff_id)
        return here
    taken = unloaded.layers.get(unloaded.resolved(member))
    if taken is None:
        raise invalid(
            f"{member} in the archive is not a layer" if member in unloaded else f"the archive lacks {member}"
        )
    if taken.arrival is None:
        raise taken.fault or invalid(f"{member} is not a layer")
    if taken.arrival.found.diff_id != diff_id:
        raise invalid(f"{member}: the layer's content is {taken.arrival.found.diff_id}, its image says {diff_id}")
    blob = BlobRow(diff_id, taken.digest, taken.media_type, taken.size) if taken.digest is not None else None
    return images.layers.keep(taken.arrival, blob, taken.file)


async def _tell(report: Report, image: Image, entry: _Entry) -> None:
    if not entry.names:
        await report({"stream": f"Loaded image ID: {image.id}\n"})
    for name in entry.names:
        await report({"stream": f"Loaded image: {name.familiar}\n"})


def _entries(members: Unloaded) -> Iterator[_Entry]:
    if "manifest.json" in members:
        yield from _docker_entries(_json_list(members.table("manifest.json")))
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


def _layout_entries(members: Unloaded) -> Iterator[_Entry]:
    """The images of an OCI layout, each once, under all names that its index gives."""
    index = parse_manifest(members.table("index.json"), media.OCI_INDEX)
    if isinstance(index, Manifest):
        raise invalid("index.json in the archive is not an index")
    found: dict[Digest, tuple[Manifest, list[Reference]]] = {}
    for entry in index.manifests:
        manifest = _resolved(members, entry)
        if manifest is not None and _is_image(manifest):
            _, names = found.setdefault(manifest.config.digest, (manifest, []))
            if _NAME in entry.annotations:
                names.append(parse_reference(entry.annotations[_NAME]))
    for manifest, names in found.values():
        yield _Entry(_blob(manifest.config), tuple(map(_blob, manifest.layers)), tuple(names))


def _is_image(manifest: Manifest) -> bool:
    """No attestation, whose configuration looks like an image's, and no other artifact."""
    return manifest.config.media_type in media.IMAGE_CONFIGS and all(
        ".tar" in layer.media_type for layer in manifest.layers
    )


def _resolved(members: Unloaded, entry: Descriptor) -> Manifest | None:
    """The manifest that `entry` stands for on this host; None where the archive does not have that platform."""
    if _blob(entry) not in members:
        return None
    parsed = parse_manifest(members.table(_blob(entry)), entry.media_type)
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
