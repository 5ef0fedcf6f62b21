"""Pulls from a registry that misbehaves on request: breaks off, sends other content, wants a token."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from riad.engine.images import compression
from riad.engine.images.local import Images
from riad.engine.images.pull import Puller
from riad.engine.images.registry.credentials import Credentials
from riad.engine.images.registry.places import RegistryOptions
from riad.engine.state import State
from riad.kernel.faults import Fault, Kind
from riad.oci import media
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest, digest_of
from riad.oci.manifest import Index, Manifest
from riad.oci.platform import Platform, host_platform
from riad.oci.reference import parse_reference

pytestmark = pytest.mark.root


@dataclass(slots=True)
class FakeRegistry:
    """`cut`: how many bytes of a blob are sent before the connection breaks, once per entry. `troubles`: how often a
    blob is answered by 503. `hold`: large blobs wait in their middle.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    troubles: int = 0
    hold: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    token: str = ""
    log: list[str] = field(default_factory=list)
    host: str = ""

    def add_blob(self, data: bytes) -> Digest:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def add_manifest(self, manifest: Manifest | Index, tag: str) -> Digest:
        body = manifest.encode()
        self.manifests[tag] = self.manifests[digest_of(body)] = (manifest.media_type, body)
        return digest_of(body)

    def add_image(self, tag: str, *contents: bytes) -> tuple[Manifest, list[Digest]]:
        tars = [_tar(content) for content in contents]
        layers = [gzip.compress(tar, mtime=0) for tar in tars]
        config = ImageConfig(config=ContainerConfig(), diff_ids=tuple(map(digest_of, tars))).encode()
        described = tuple(Descriptor(media.DOCKER_LAYER_GZIP, self.add_blob(layer), len(layer)) for layer in layers)
        top = Descriptor(media.DOCKER_CONFIG, self.add_blob(config), len(config))
        manifest = Manifest(media.DOCKER_MANIFEST, top, described)
        self.add_manifest(manifest, tag)
        return manifest, [layer.digest for layer in described]

    async def until(self, times: int, end: str) -> None:
        """Until what ends so has been asked for so often."""
        while sum(line.endswith(end) for line in self.log) < times:
            self.asked.clear()
            await self.asked.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.log.append(f"{request.method} {request.path}")
        self.asked.set()
        if request.path == "/token":
            self.log.append(f"scope {request.query['scope']} as {request.headers.get('Authorization', 'nobody')}")
            return web.json_response({"token": self.token})
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            realm = f'Bearer realm="http://{self.host}/token",service="fake"'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        _, _, rest = request.path.partition("/v2/group/app/")
        kind, _, name = rest.partition("/")
        if kind == "manifests" and name in self.manifests:
            media_type, body = self.manifests[name]
            return web.Response(body=body, headers={"Content-Type": media_type})
        if kind == "blobs" and name in self.blobs:
            return await self._blob(request, self.blobs[name])
        if request.path == "/v2/":
            return web.Response()
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return web.json_response({"errors": [{"code": code, "message": "unknown"}]}, status=404)

    async def _blob(self, request: web.Request, data: bytes) -> web.StreamResponse:
        if self.troubles:
            self.troubles -= 1
            return web.Response(status=503)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")) if self.ranges else 0
        self.log.append(f"from {start}")
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(data) - start
        await response.prepare(request)
        if self.cut and len(data) > 1000:
            await response.write(data[start : start + self.cut.pop()])
            assert request.transport is not None
            request.transport.abort()
            return response
        if self.hold is not None and len(data) > 1000:
            await response.write(data[start : start + 500])
            await self.hold.wait()
            start += 500
        await response.write(data[start:])
        return response


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    fake = FakeRegistry()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.host = f"127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Images]:
    state = State(tmp_path)
    yield Images(state, tmp_path)
    state.close()


def puller(images: Images) -> Puller:
    return Puller(images, RegistryOptions())


def nothing_remains(images: Images) -> bool:
    return not images.all() and not images.store.layers() and not list(images.layers.incoming.iterdir())


async def test_a_broken_download_continues_where_it_stopped(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", bytes(range(256)) * 2000)
    registry.cut = [300, 500]
    lines: list[dict[str, Any]] = []

    async def report(line: dict[str, Any]) -> None:
        lines.append(line)

    image = await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"), report=report)
    starts = [entry for entry in registry.log if entry.startswith("from ")]
    assert starts[-3:] == ["from 0", "from 500", "from 800"]
    assert (images.layer_paths(image)[0] / "file").stat().st_size == 512_000
    statuses = [line["status"] for line in lines]
    assert statuses[0] == "Pulling from group/app"
    assert statuses[-2].startswith("Digest: sha256:")
    assert [status for status in statuses[1:-2] if status not in ("Downloading", "Extracting")] == [
        "Pulling fs layer",
        "Verifying Checksum",
        "Download complete",
        "Pull complete",
    ]


async def test_other_content_than_announced_is_refused_and_leaves_nothing(
    images: Images, registry: FakeRegistry
) -> None:
    _, layers = registry.add_image("1", b"a" * 3000, b"b" * 3000)
    good = registry.blobs[layers[1]]
    registry.blobs[layers[1]] = bytes([good[0] ^ 1]) + good[1:]
    with pytest.raises(Fault, match="verification failed") as caught:
        await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))
    assert caught.value.kind is Kind.INVALID
    assert not images.all()
    await images.collect()
    assert nothing_remains(images)


async def test_a_layer_that_is_not_what_its_image_says_is_refused(images: Images, registry: FakeRegistry) -> None:
    manifest, _ = registry.add_image("1", b"a")
    config = json.loads(registry.blobs[manifest.config.digest])
    config["rootfs"]["diff_ids"] = [digest_of(b"another")]
    body = json.dumps(config).encode()
    described = Descriptor(media.DOCKER_CONFIG, registry.add_blob(body), len(body))
    registry.add_manifest(Manifest(media.DOCKER_MANIFEST, described, manifest.layers), "2")
    with pytest.raises(Fault, match="its image says"):
        await puller(images).pull(parse_reference(f"{registry.host}/group/app:2"))
    assert nothing_remains(images)


async def test_a_manifest_pulled_by_digest_must_have_it(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", b"a")
    wrong = digest_of(b"wrong")
    registry.manifests[wrong] = registry.manifests["1"]
    with pytest.raises(Fault, match="manifest verification failed"):
        await puller(images).pull(parse_reference(f"{registry.host}/group/app@{wrong}"))


async def test_a_registry_without_ranges_sends_again_what_is_skipped(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", bytes(range(256)) * 2000)
    registry.cut, registry.ranges = [700, 800], False
    await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))
    assert registry.log.count("from 0") == 4


async def test_a_registry_in_trouble_is_asked_again(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", b"x" * 5000)
    registry.troubles = 2
    await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))


async def test_two_pulls_at_once_share_the_download(images: Images, registry: FakeRegistry) -> None:
    _, [layer] = registry.add_image("1", os.urandom(5000))
    registry.hold = asyncio.Event()
    both, said = puller(images), asyncio.Event()
    name = parse_reference(f"{registry.host}/group/app:1")

    async def report(line: dict[str, Any]) -> None:
        if line["status"] == "Downloading":
            said.set()

    first = asyncio.ensure_future(both.pull(name, report=report))
    await said.wait()
    said.clear()
    second = asyncio.ensure_future(both.pull(name, report=report))
    await registry.until(2, "manifests/1")
    registry.hold.set()
    assert (await first).id == (await second).id
    assert registry.log.count(f"GET /v2/group/app/blobs/{layer}") == 1


async def test_who_waited_for_a_download_that_is_given_up_makes_it_alone(
    images: Images, registry: FakeRegistry
) -> None:
    registry.add_image("1", os.urandom(5000))
    registry.hold = asyncio.Event()
    both, said = puller(images), asyncio.Event()
    name = parse_reference(f"{registry.host}/group/app:1")

    async def report(line: dict[str, Any]) -> None:
        if line["status"] == "Downloading":
            said.set()

    first = asyncio.ensure_future(both.pull(name, report=report))
    await said.wait()
    second = asyncio.ensure_future(both.pull(name))
    await registry.until(2, "manifests/1")
    first.cancel()
    registry.hold.set()
    assert (await second).tags == (name,)
    assert not list(images.layers.incoming.iterdir())


async def test_a_bomb_is_refused_and_leaves_nothing(
    images: Images, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_HARMLESS", 1_000_000)
    monkeypatch.setattr(compression, "_LARGEST_RATIO", 100)
    registry.add_image("1", bytes(20_000_000))
    with pytest.raises(Fault, match="bomb"):
        await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))
    assert nothing_remains(images)


async def test_a_token_is_fetched_for_exactly_what_is_pulled(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", b"a", b"b")
    registry.token = "t0ken"
    await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"), Credentials("ada", "pw"))
    assert "scope repository:group/app:pull as Basic YWRhOnB3" in registry.log
    assert registry.log.count("GET /token") == 1


async def test_an_index_gives_this_hosts_image_and_keeps_its_own_digest(images: Images, registry: FakeRegistry) -> None:
    mine, _ = registry.add_image("mine", b"mine")
    other, _ = registry.add_image("other", b"other")
    entries = [
        Descriptor(media.DOCKER_MANIFEST, digest_of(manifest.encode()), len(manifest.encode()), platform=platform)
        for manifest, platform in ((other, Platform("plan9", "mips")), (mine, host_platform()))
    ]
    digest = registry.add_manifest(Index(media.DOCKER_LIST, tuple(entries)), "1")
    image = await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))
    assert image.id == mine.config.digest
    assert [str(name.digest) for name in image.digests] == [digest]
    registry.add_manifest(Index(media.DOCKER_LIST, (entries[0],)), "2")
    with pytest.raises(Fault, match="no matching manifest for linux/"):
        await puller(images).pull(parse_reference(f"{registry.host}/group/app:2"))


async def test_layers_that_are_here_are_not_fetched(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", b"shared", b"one")
    registry.add_image("2", b"shared", b"two")
    await puller(images).pull(parse_reference(f"{registry.host}/group/app:1"))
    registry.log.clear()
    await puller(images).pull(parse_reference(f"{registry.host}/group/app:2"))
    fetched = [entry for entry in registry.log if entry.startswith("GET") and "/blobs/" in entry]
    assert len(fetched) == 2  # the configuration and one layer


async def test_a_cancelled_pull_leaves_nothing(images: Images, registry: FakeRegistry) -> None:
    registry.add_image("1", b"a" * 5000)
    arrived = asyncio.Event()

    async def report(line: dict[str, Any]) -> None:
        if line["status"] == "Download complete":
            arrived.set()
            await asyncio.Event().wait()

    job = asyncio.ensure_future(puller(images).pull(parse_reference(f"{registry.host}/group/app:1"), report=report))
    await asyncio.wait_for(arrived.wait(), 10)
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    assert nothing_remains(images)
