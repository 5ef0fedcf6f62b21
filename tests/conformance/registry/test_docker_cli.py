"""The stock docker CLI moves images between this engine and Debian's docker-registry."""

from __future__ import annotations

import asyncio
import ctypes
import io
import json
import shutil
import tarfile
from pathlib import Path

import docker
import pytest

from riad.engine.images.registry.places import RegistryOptions, parse_mirror
from riad.kernel.process import run

from .conftest import ImageEngine, RunningRegistry, running_engine, running_registry, skopeo

pytestmark = [
    pytest.mark.root,
    pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning"),
    pytest.mark.skipif(not shutil.which("docker-registry") or not shutil.which("docker"), reason="tools are missing"),
]


def rootfs(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"etc/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def import_image(engine: ImageEngine, name: str, **files: str) -> str:
    done = await engine.docker("import", "--change", 'CMD ["sh"]', "-", name, stdin=rootfs(**files))
    return done.stdout.decode().strip()


async def test_an_imported_image_is_listed_inspected_and_removed(engine: ImageEngine) -> None:
    image = await import_image(engine, "tiny:1", hello="hi")
    assert await engine.lines("images", "--no-trunc", "-q") == [image]
    found = await engine.inspect("tiny:1")
    assert found["RepoTags"] == ["tiny:1"]
    assert found["RepoDigests"] == []
    assert isinstance(found["Config"], dict)
    assert found["Config"]["Cmd"] == ["sh"]
    assert "Imported from -" in (await engine.docker("history", "tiny:1")).stdout.decode()
    await engine.docker("tag", "tiny:1", "other/name:2")
    assert await engine.lines("rmi", "tiny:1") == ["Untagged: tiny:1"]
    assert await engine.lines("rmi", "other/name:2") == ["Untagged: other/name:2", f"Deleted: {image}"]
    assert not engine.images.store.layers()
    missing = await engine.docker("image", "inspect", "tiny:1", check=False)
    assert b"No such image: tiny:1" in missing.stderr


async def test_what_is_pushed_comes_back_the_same(
    engine: ImageEngine, registry: RunningRegistry, tmp_path: Path
) -> None:
    name = f"{registry.host}/group/tiny:1"
    image = await import_image(engine, name, hello="hi" * 4000)
    pushed = await engine.lines("push", name)
    assert pushed[0] == f"The push refers to repository [{registry.host}/group/tiny]"
    assert any(line.startswith("1: digest: sha256:") for line in pushed)
    digest = pushed[-1].split()[2]
    assert (await engine.inspect(name))["RepoDigests"] == [f"{registry.host}/group/tiny@{digest}"]
    again = await engine.docker("push", name)
    assert b"Layer already exists" in again.stdout
    async with running_engine(tmp_path) as second:
        pulled = await second.lines("pull", name)
        assert pulled[0] == "1: Pulling from group/tiny"
        assert f"Digest: {digest}" in pulled
        assert f"Status: Downloaded newer image for {name}" in pulled
        assert (await second.inspect(name))["Id"] == image
        assert f"Status: Image is up to date for {name}" in await second.lines("pull", name)
        # A push of what was pulled sends the very same manifest and needs no layer.
        copy = f"{registry.host}/group/tiny:copy"
        await second.docker("tag", name, copy)
        assert (await second.lines("push", copy))[-1].split()[2] == digest
        # Another repository gets the layer by a mount.
        other = f"{registry.host}/elsewhere/tiny:1"
        await second.docker("tag", name, other)
        assert any("Mounted from group/tiny" in line for line in await second.lines("push", other))


async def test_a_pull_by_digest_of_what_is_here_needs_no_registry(engine: ImageEngine, tmp_path: Path) -> None:
    with running_registry(tmp_path) as gone:
        name = f"{gone.host}/tiny:1"
        await import_image(engine, name, hello="x")
        digest = (await engine.lines("push", name))[-1].split()[2]
    assert any("up to date" in line for line in await engine.lines("pull", f"{gone.host}/tiny@{digest}"))
    away = await engine.docker("pull", name, check=False)
    assert b"cannot reach a registry" in away.stderr
    assert b"try something else" in away.stderr


async def test_what_a_registry_does_not_have_is_said_in_dockers_words(
    engine: ImageEngine, registry: RunningRegistry
) -> None:
    await import_image(engine, f"{registry.host}/known:1", hello="x")
    await engine.docker("push", f"{registry.host}/known:1")
    tag = await engine.docker("pull", f"{registry.host}/known:2", check=False)
    assert f"manifest for {registry.host}/known:2 not found: manifest unknown" in tag.stderr.decode()
    push = await engine.docker("push", f"{registry.host}/unknown", check=False)
    assert b"An image does not exist locally with the tag" in push.stderr


async def test_a_registry_with_passwords_wants_a_login(engine: ImageEngine, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_bytes(_htpasswd("ada", "secret"))
    auth = f"auth: {{htpasswd: {{realm: test, path: {tmp_path / 'passwords'}}}}}"
    with running_registry(tmp_path, auth=auth) as private:
        name = f"{private.host}/tiny:1"
        await import_image(engine, name, hello="x")
        refused = await engine.docker("push", name, check=False)
        assert refused.code != 0
        assert b"unauthorized: authentication required" in refused.stderr
        wrong = await engine.docker("login", "-u", "ada", "-p", "wrong", private.host, check=False)
        assert wrong.code != 0
        assert b"unauthorized" in wrong.stderr
        await engine.docker("login", "-u", "ada", "-p", "secret", private.host)
        await engine.docker("push", name)
        await engine.docker("rmi", name)
        await engine.docker("pull", name)


async def test_a_mirror_is_asked_before_the_registry(registry: RunningRegistry, tmp_path: Path) -> None:
    options = RegistryOptions(mirrors=(parse_mirror(f"http://{registry.host}"),))
    async with running_engine(tmp_path, options) as engine:
        await import_image(engine, f"{registry.host}/library/mirrored:1", hello="x")
        await engine.docker("push", f"{registry.host}/library/mirrored:1")
        pulled = await engine.lines("pull", "mirrored:1")
        assert pulled[0] == "1: Pulling from library/mirrored"
        assert (await engine.inspect("mirrored:1"))["RepoTags"] == ["mirrored:1", f"{registry.host}/library/mirrored:1"]


async def test_skopeo_reads_what_we_push_and_we_read_what_it_pushes(
    engine: ImageEngine, registry: RunningRegistry, tmp_path: Path
) -> None:
    name = f"{registry.host}/sko/tiny"
    image = await import_image(engine, f"{name}:1", hello="x")
    await engine.docker("push", f"{name}:1")
    inspected = json.loads((await skopeo("inspect", "--tls-verify=false", "--config", f"docker://{name}:1")).stdout)
    assert inspected["config"]["Cmd"] == ["sh"]
    for number, arguments in enumerate(
        (["--format", "oci"], ["--format", "oci", "--dest-compress-format", "zstd"], ["--format", "v2s2"])
    ):
        target = f"{name}:form{number}"
        await skopeo(
            "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *arguments,
            f"docker://{name}:1", f"docker://{target}",
        )  # fmt: skip
        async with running_engine(tmp_path) as second:
            await second.docker("pull", target)
            found = second.images.get(target)
            assert (second.images.layer_paths(found)[0] / "etc/hello").read_text() == "x"
            assert found.layers == engine.images.get(image).layers
            again = f"{name}:again{number}"
            await second.docker("tag", target, again)
            digest = (await second.lines("push", again))[-1].split()[2]
            assert str(found.digests[0].digest) == digest


async def test_saved_images_load_anywhere(engine: ImageEngine, tmp_path: Path) -> None:
    first = await import_image(engine, "one:1", hello="one")
    await import_image(engine, "two:2", hello="two")
    archive = tmp_path / "images.tar"
    await engine.docker("save", "-o", str(archive), "one:1", "two:2")
    async with running_engine(tmp_path) as second:
        assert await second.lines("load", "-q", "-i", str(archive)) == ["Loaded image: one:1", "Loaded image: two:2"]
        assert (await second.inspect("one:1"))["Id"] == first
        saved = (await second.docker("save", "one:1")).stdout
        with tarfile.open(fileobj=io.BytesIO(saved)) as again:
            assert {"index.json", "manifest.json", "oci-layout", "repositories"} <= set(again.getnames())
    layout = tmp_path / "layout"
    await skopeo("copy", f"docker-archive:{archive}:one:1", f"oci:{layout}:one")
    packed = tmp_path / "layout.tar"
    await run(["tar", "-cf", packed, "-C", layout, "."], timeout=30)
    async with running_engine(tmp_path) as third:
        loaded = await third.lines("load", "-q", "-i", str(packed))
        found = third.images.get(loaded[0].removeprefix("Loaded image ID: "))
        assert found.layers == engine.images.get(first).layers


async def test_an_archive_that_is_not_one_loads_nothing(engine: ImageEngine) -> None:
    refused = await engine.docker("load", check=False, stdin=rootfs(hello="x"))
    assert refused.code != 0
    assert b"neither manifest.json nor index.json" in refused.stderr
    assert not engine.images.all()


async def test_prune_takes_only_what_is_unused_and_untagged(engine: ImageEngine) -> None:
    await import_image(engine, "kept:1", hello="1")
    await import_image(engine, "moved:1", hello="2")
    await import_image(engine, "moved:1", hello="3")
    assert len(await engine.lines("images", "-q")) == 3
    assert len(await engine.lines("images", "-q", "-f", "dangling=true")) == 1
    pruned = await engine.lines("image", "prune", "-f")
    assert pruned[0] == "Deleted Images:"
    assert pruned[-1].startswith("Total reclaimed space: ")
    assert not pruned[-1].endswith(": 0B")
    assert sorted(await engine.lines("images", "--format", "{{.Repository}}")) == ["kept", "moved"]
    await engine.docker("image", "prune", "-af")
    assert await engine.lines("images", "-q") == []


async def test_the_registry_is_asked_what_it_has_without_pulling(
    engine: ImageEngine, registry: RunningRegistry
) -> None:
    name = f"{registry.host}/asked:1"
    await import_image(engine, name, hello="x")
    digest = (await engine.lines("push", name))[-1].split()[2]
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.47")
    found = await asyncio.to_thread(client.images.get_registry_data, name)
    assert found.id == digest
    assert found.attrs["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    client.close()


def _htpasswd(user: str, password: str) -> bytes:
    """A line of an htpasswd file with bcrypt, the one kind that docker-registry reads; the C library makes it."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed: bytes = library.crypt(password.encode(), b"$2b$05$" + b"a" * 21 + b"u")
    return user.encode() + b":" + hashed + b"\n"
