"""Registries behind an authority of their own, searches, imports from the web; by the stock docker CLI."""

from __future__ import annotations

import asyncio
import io
import ssl
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from riad.engine.access.certs import make
from riad.engine.images.registry.places import RegistryOptions

from .conftest import ImageEngine, RunningRegistry, running_engine

pytestmark = pytest.mark.root


@asynccontextmanager
async def served(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ping(request: web.Request) -> web.Response:
    return web.Response(text="{}", content_type="application/json")


async def test_a_registry_that_wants_a_certificate_is_shown_the_one_of_its_folder(tmp_path: Path) -> None:
    make(tmp_path / "made", ["localhost", "127.0.0.1"], days=2)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "made/ca.pem"))
    context.load_cert_chain(tmp_path / "made/server-cert.pem", tmp_path / "made/server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_get("/v2/", ping)
    async with served(app, context) as host, running_engine(tmp_path, options(tmp_path)) as engine:
        refused = await login(engine, host)
        assert refused.code != 0
        folder = tmp_path / "certs.d" / host
        folder.mkdir(parents=True)
        (folder / "own.cert").write_bytes((tmp_path / "made/cert.pem").read_bytes())
        alone = await login(engine, host)
        assert b"missing key own.key for client certificate own.cert" in alone.stderr
        (folder / "own.key").write_bytes((tmp_path / "made/key.pem").read_bytes())
        (folder / "ca.crt").write_bytes((tmp_path / "made/ca.pem").read_bytes())
        assert b"Login Succeeded" in (await login(engine, host)).stdout


async def test_an_identity_token_stands_for_the_password_from_then_on(tmp_path: Path) -> None:
    app, asked = web.Application(), []

    async def guarded(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") == "Bearer good":
            return web.json_response({"repositories": ["group/app", "other"]})
        challenge = f'Bearer realm="http://{request.host}/token",service="s"'
        return web.json_response({"errors": []}, status=401, headers={"WWW-Authenticate": challenge})

    async def token(request: web.Request) -> web.Response:
        asked.append((request.method, request.query.get("offline_token"), (await request.post()).get("refresh_token")))
        return web.json_response({"token": "good", "access_token": "good", "refresh_token": "identity"})

    app.router.add_get("/v2/", guarded)
    app.router.add_get("/v2/_catalog", guarded)
    app.router.add_get("/token", token)
    app.router.add_post("/token", token)
    async with served(app) as host, running_engine(tmp_path) as engine:
        assert b"Login Succeeded" in (await login(engine, host)).stdout
        assert asked == [("GET", "true", None)]
        found = await engine.lines("search", "--format", "{{.Name}}", f"{host}/app")
        assert found == [f"{host}/group/app"]
        assert asked[1:] == [("POST", None, "identity")]


async def test_a_registrys_catalogue_is_searched(engine: ImageEngine, registry: RunningRegistry) -> None:
    await engine.docker("import", "-", f"{registry.host}/found/me:1", stdin=tar().getvalue())
    await engine.docker("push", f"{registry.host}/found/me:1")
    listed = await engine.lines("search", "--format", "{{.Name}}", f"{registry.host}/found")
    assert listed == [f"{registry.host}/found/me"]


async def test_an_archive_is_imported_from_an_address(engine: ImageEngine) -> None:
    app = web.Application()

    async def archive(request: web.Request) -> web.Response:
        return web.Response(body=tar().getvalue())

    app.router.add_get("/a.tar", archive)
    async with served(app) as host:
        await engine.docker("import", f"http://{host}/a.tar", "fetched:1")
        assert (await engine.inspect("fetched:1"))["Comment"] == f"Imported from http://{host}/a.tar"
        gone = await engine.docker("import", f"http://{host}/b.tar", check=False)
        assert b"404" in gone.stderr


async def test_a_layer_is_pushed_while_its_image_is_removed(engine: ImageEngine, registry: RunningRegistry) -> None:
    name = f"{registry.host}/racing:1"
    await engine.docker("import", "-", name, stdin=tar(b"x" * 3_000_000).getvalue())
    pushing = asyncio.ensure_future(engine.docker("push", name, check=False))
    await engine.docker("rmi", name)
    done = await asyncio.wait_for(pushing, 30)
    assert done.code == 0 or b"does not exist locally" in done.stderr


async def login(engine: ImageEngine, host: str):  # type: ignore[no-untyped-def]
    return await engine.docker("login", "-u", "ada", "-p", "secret", host, check=False)


def options(folder: Path) -> RegistryOptions:
    return RegistryOptions(certificates=(folder / "certs.d",))


def tar(content: bytes = b"hello") -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("hello")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file
