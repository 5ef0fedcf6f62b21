"""skopeo against the registry: the client of podman, buildah and CRI-O."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from fakes.registry_house import PASSWORD, descriptor, image
from riad.oci import media

from .conftest import Served

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")

CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
).encode()


def layout(folder: Path, *manifests: bytes, blobs: tuple[bytes, ...]) -> Path:
    """An OCI image layout on disk (image-spec, image-layout.md)."""
    store = folder / "blobs" / "sha256"
    store.mkdir(parents=True)
    for blob in (*manifests, *blobs):
        (store / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    entries = [
        descriptor(body, json.loads(body)["mediaType"])
        | {"annotations": {"org.opencontainers.image.ref.name": f"v{i}"}}
        for i, body in enumerate(manifests)
    ]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def skopeo(*arguments: str, user: str | None = "dana", ok: bool = True) -> subprocess.CompletedProcess[str]:
    command, *rest = arguments
    flags = {"copy": ["--dest-tls-verify=false", "--src-tls-verify=false"]}.get(command, ["--tls-verify=false"])
    credentials = {"copy": "--dest-creds"}.get(command, "--creds")
    if user is not None and not (command == "copy" and rest[-1].startswith("oci:")):
        flags.append(f"{credentials}={user}:{PASSWORD}")
    if command == "copy" and rest[-2].startswith("docker://") and user is not None:
        flags.append(f"--src-creds={user}:{PASSWORD}")
    done = subprocess.run(
        ["skopeo", "--insecure-policy", command, *flags, *rest], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode == 0) is ok, done.stderr
    return done


def test_an_image_goes_in_and_comes_out_the_same(registry: Served, tmp_path: Path) -> None:
    layer = gzip.compress(random.Random(1).randbytes(5_000_000), mtime=0)
    body = image(CONFIG, layer)
    source = layout(tmp_path / "in", body, blobs=(CONFIG, layer))
    skopeo("copy", f"oci:{source}:v0", f"docker://{registry.host}/demo/app:v1")
    skopeo("copy", f"docker://{registry.host}/demo/app:v1", f"oci:{tmp_path / 'out'}:v1")
    assert (tmp_path / "out" / "blobs" / "sha256" / hashlib.sha256(layer).hexdigest()).read_bytes() == layer
    assert (tmp_path / "out" / "blobs" / "sha256" / hashlib.sha256(body).hexdigest()).read_bytes() == body


def test_a_copy_inside_the_registry_mounts_the_layers(registry: Served, tmp_path: Path) -> None:
    layer = gzip.compress(b"shared", mtime=0)
    source = layout(tmp_path / "in", image(CONFIG, layer), blobs=(CONFIG, layer))
    skopeo("copy", f"oci:{source}:v0", f"docker://{registry.host}/demo/app:v1")
    skopeo("copy", f"docker://{registry.host}/demo/app:v1", f"docker://{registry.host}/demo/app/worker:v1")
    found = json.loads(skopeo("list-tags", f"docker://{registry.host}/demo/app/worker").stdout)
    assert found["Tags"] == ["v1"]


def test_a_tag_is_inspected_and_deleted(registry: Served, tmp_path: Path) -> None:
    source = layout(tmp_path / "in", image(CONFIG), blobs=(CONFIG,))
    skopeo("copy", f"oci:{source}:v0", f"docker://{registry.host}/demo/app:v1")
    assert json.loads(skopeo("inspect", f"docker://{registry.host}/demo/app:v1").stdout)["Architecture"] == "amd64"
    skopeo("delete", f"docker://{registry.host}/demo/app:v1")
    assert "manifest unknown" in skopeo("inspect", f"docker://{registry.host}/demo/app:v1", ok=False).stderr


def test_a_docker_schema_2_image_is_taken(registry: Served, tmp_path: Path) -> None:
    source = layout(tmp_path / "in", image(CONFIG), blobs=(CONFIG,))
    skopeo("copy", "--format=v2s2", f"oci:{source}:v0", f"docker://{registry.host}/demo/app:v1")
    raw = json.loads(skopeo("inspect", "--raw", f"docker://{registry.host}/demo/app:v1").stdout)
    assert raw["mediaType"] == media.DOCKER_MANIFEST


def test_strangers_are_told_why(registry: Served, tmp_path: Path) -> None:
    source = layout(tmp_path / "in", image(CONFIG), blobs=(CONFIG,))
    target = f"docker://{registry.host}/demo/app:v1"
    assert (
        "no project demo/app that sam can see"
        in skopeo("copy", f"oci:{source}:v0", target, user="sam", ok=False).stderr
    )
    unauthorised = skopeo("inspect", target, user=None, ok=False).stderr
    assert "unauthorized" in unauthorised.lower() or "authentication required" in unauthorised


def test_a_log_in_is_checked(registry: Served, tmp_path: Path) -> None:
    def login(password: str) -> subprocess.CompletedProcess[str]:
        command = [
            "skopeo",
            "login",
            "--tls-verify=false",
            f"--authfile={tmp_path}/auth.json",
            "-u",
            "dana",
            "--password-stdin",
        ]
        return subprocess.run(
            [*command, registry.host], input=password, capture_output=True, text=True, timeout=30, check=False
        )

    assert "Login Succeeded" in login(PASSWORD).stdout
    refused = login("wrong")
    assert refused.returncode != 0
    assert "invalid username/password" in refused.stderr
