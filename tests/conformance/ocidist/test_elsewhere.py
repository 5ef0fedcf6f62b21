"""Other registries: kept in a cache here, and copied to. Debian's docker-registry is the other one."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fastapi import FastAPI

from fakes import registry_house
from fakes.registry_house import PASSWORD, House, digest, image
from ports import free_port
from riad.kernel import outbox
from riad.oci import media
from riad.protocols.ocidist.router import router
from riad.protocols.ocidist.services import Services
from riad.registry import blobs, manifests, replication, repositories
from riad.registry.cache import Upstream
from riad.registry.names import RepositoryName
from riad.registry.remote import Account, Remote
from serving import Serve

CONFIG, LAYER = b"{}", b"layer of elsewhere" * 1000


@dataclass
class Elsewhere:
    address: str
    process: subprocess.Popen[bytes]

    def remote(self, path: str) -> Remote:
        return Remote(self.address, path, actions="pull,push")

    def push(self, path: str, tag: str, layer: bytes = LAYER) -> bytes:
        remote, body = self.remote(path), image(CONFIG, layer)
        for data in (CONFIG, layer):
            with open_bytes(data) as content:
                remote.send_blob(digest(data), content, len(data))
        remote.send_manifest(tag, body, media.OCI_MANIFEST)
        return body


def open_bytes(data: bytes):  # type: ignore[no-untyped-def]
    import io

    return io.BytesIO(data)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    with _running(tmp_path, free_port()) as found:
        yield found


@contextmanager
def _running(folder: Path, port: int) -> Iterator[Elsewhere]:
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'store'}}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}"}}\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < deadline, "docker-registry did not start"
            time.sleep(0.02)
        yield Elsewhere(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)


def served(house: House, serve: Serve) -> str:
    app = FastAPI()
    services = Services(
        database=house.database,
        clock=house.clock,
        blobs=house.blobs,
        parts=house.parts,
        projects=house.projects,
        signing_key=b"k" * 32,
        external_url="",
        cache=house.cache,
    )
    app.include_router(router(services))
    return serve(app)


def test_an_image_is_kept_when_it_is_asked_for_and_there_when_its_registry_is_not(
    tmp_path: Path, serve: Serve, elsewhere: Elsewhere
) -> None:
    house = replace(registry_house.build(tmp_path), upstreams=(Upstream("hub", elsewhere.address, Account()),))
    body = elsewhere.push("library/app", "v1")
    here = Remote(served(house, serve), "cache/hub/library/app", Account("sam", PASSWORD))
    assert here.blob_size(digest(LAYER)) == len(LAYER)
    assert here.manifest("v1") == (body, media.OCI_MANIFEST)
    content, size = here.blob(digest(LAYER))
    assert (content.read(), size) == (LAYER, len(LAYER))
    newer = elsewhere.push("library/app", "v1", b"newer" * 100)
    assert here.manifest("v1")[0] == body  # young enough not to be asked for again
    house.clock.advance(house.cache.fresh * 2)
    assert here.manifest("v1")[0] == newer
    elsewhere.process.terminate()
    elsewhere.process.wait(10)
    house.clock.advance(house.cache.fresh * 2)
    assert here.manifest("v1")[0] == newer
    assert here.manifest(digest(body))[0] == body
    assert here.blob(digest(LAYER))[0].read() == LAYER


def test_strangers_and_pushes_are_refused_by_the_cache(tmp_path: Path, serve: Serve, elsewhere: Elsewhere) -> None:
    house = replace(registry_house.build(tmp_path), upstreams=(Upstream("hub", elsewhere.address, Account()),))
    elsewhere.push("library/app", "v1")
    address = served(house, serve)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/v2/cache/hub/library/app/manifests/v1", timeout=10)
    with pytest.raises(Exception, match="cannot be pushed to"):
        Remote(address, "cache/hub/library/app", Account("dana", PASSWORD), "pull,push").send_manifest(
            "v1", b"{}", media.OCI_MANIFEST
        )


def test_a_pushed_tag_is_copied_and_a_registry_that_is_away_is_tried_again(
    tmp_path: Path, elsewhere: Elsewhere
) -> None:
    house = registry_house.build(tmp_path)
    project = house.projects.known["demo/app"].id
    with house.database.write() as session:
        replication.add(session, project, target=f"{elsewhere.address}/copies", username="", password="", tags="v.*")
        away = replication.add(session, project, target="http://127.0.0.1:9", username="", password="")
        row = repositories.ensure(session, RepositoryName.parse("demo/app"), projects=house.projects, clock=house.clock)
        for data in (CONFIG, LAYER):
            blobs.keep(session, house.blobs, digest(data), len(data), data, clock=house.clock)
            blobs.link(session, row, digest(data), clock=house.clock)
        for tag in ("v1", "dev"):
            manifests.put(
                session,
                row,
                tag,
                image(CONFIG, LAYER),
                content_type=media.OCI_MANIFEST,
                store=house.blobs,
                clock=house.clock,
            )

    def copy(event: outbox.Event) -> None:
        where = {key: event.payload[key] for key in ("project_id", "repository", "tag")}
        replication.copy_tag(house.database, house.blobs, **where, clock=house.clock)

    outbox.deliver(house.database, {manifests.TAG_PUSHED: [copy]}, clock=house.clock)
    assert elsewhere.remote("copies/demo/app").manifest("v1")[0] == image(CONFIG, LAYER)
    tags = json.load(urllib.request.urlopen(f"{elsewhere.address}/v2/copies/demo/app/tags/list", timeout=10))
    assert tags["tags"] == ["v1"]
    with house.database.write() as session:
        first, second = replication.of_project(session, project)
        assert (first.error, first.copied_at) == (None, house.clock.now())
        assert "does not answer" in (second.error or "")
        replication.remove(session, project, away.id)
    house.clock.advance(outbox.timedelta(seconds=10))
    outbox.deliver(house.database, {manifests.TAG_PUSHED: [copy]}, clock=house.clock)
    with house.database.read() as session:
        assert all(row.done_at for row in session.query(outbox.EventRow))
