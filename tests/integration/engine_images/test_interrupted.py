"""A daemon that dies in the middle of a load or a pull: nothing half is seen afterwards, and nothing is left."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine_fixture import RunningEngine, running_engine, wait_until
from riad.oci import media
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.descriptor import Descriptor
from riad.oci.digest import digest_of
from riad.oci.manifest import Manifest

pytestmark = pytest.mark.root


def layer(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def saved(*layers: bytes) -> bytes:
    """As `docker save` writes it."""
    config = ImageConfig(config=ContainerConfig(), diff_ids=tuple(map(digest_of, layers))).encode()
    members = {f"blobs/sha256/{digest_of(one).hex}": one for one in (*layers, config)}
    names = list(members)
    table = [{"Config": names[-1], "RepoTags": ["half:1"], "Layers": names[:-1]}]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, body in {**members, "manifest.json": json.dumps(table).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def folders(engine: RunningEngine) -> dict[str, set[str]]:
    data = engine.root / "data"
    return {name: {entry.name for entry in (data / name).iterdir()} for name in ("layers", "frames", "incoming")}


def test_a_load_that_is_killed_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    archive = saved(layer(os.urandom(2_000_000)), layer(os.urandom(3_000_000)))
    with running_engine() as engine:
        before = folders(engine)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(engine.socket))
            head = f"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: {len(archive)}\r\n\r\n"
            client.sendall(head.encode() + archive[:4_000_000])
            wait_until(lambda: len(folders(engine)["incoming"]) >= 4)  # one layer whole, the next begun
            engine.kill()
        engine.start()
        assert folders(engine) == before
        assert "half" not in engine.out("images")
        (tmp_path / "archive.tar").write_bytes(archive)
        assert engine.out("load", "-i", tmp_path / "archive.tar").endswith("Loaded image: half:1")
        engine.docker("rmi", "half:1")
        assert folders(engine) == before


@contextlib.contextmanager
def stalling_registry(body: bytes) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """An image whose only layer stops half way until told: HOST, "half was sent", "go on"."""
    config = ImageConfig(config=ContainerConfig(), diff_ids=(digest_of(body),)).encode()
    top = Descriptor(media.OCI_CONFIG, digest_of(config), len(config))
    manifest = Manifest(media.OCI_MANIFEST, top, (Descriptor(media.OCI_LAYER, digest_of(body), len(body)),)).encode()
    half, go_on = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {f"/v2/half/blobs/{digest_of(blob)}": blob for blob in (config, body)}
            found = answers.get(self.path, manifest)
            self.send_response(200)
            self.send_header("Content-Type", media.OCI_MANIFEST)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            with contextlib.suppress(OSError):
                if found is body:
                    self.wfile.write(found[: len(found) // 2])
                    half.set()
                    go_on.wait(30)
                    found = found[len(found) // 2 :]
                self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", half, go_on
    finally:
        go_on.set()
        server.shutdown()


def test_a_pull_that_is_killed_leaves_nothing_and_can_be_repeated() -> None:
    with running_engine() as engine, stalling_registry(layer(os.urandom(4_000_000))) as (host, half, go_on):
        before = folders(engine)
        with subprocess.Popen(["docker", "pull", f"{host}/half:1"], env=engine.environ, stdout=subprocess.DEVNULL):
            assert half.wait(30)
            engine.kill()
        engine.start()
        assert folders(engine) == before
        go_on.set()
        engine.docker("pull", f"{host}/half:1")
        assert len(folders(engine)["layers"]) == len(before["layers"]) + 1
