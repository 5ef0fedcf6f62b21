"""/images in and out: pull and import (create), push, load, save (get). All but save tell their progress in JSON lines.

An error before the first line is an ordinary error answer; one after it travels in the stream as `errorDetail`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import JsonLines
from riad.engine.dockerapi.wire import STARTED, Shape, decoded_header, flag
from riad.engine.images.fetching import fetched
from riad.engine.images.importing import import_image
from riad.engine.images.load import load
from riad.engine.images.local import Images
from riad.engine.images.progress import Report
from riad.engine.images.pull import Puller
from riad.engine.images.push import Pusher
from riad.engine.images.registry.credentials import Credentials, credentials_from_json
from riad.engine.images.save import save, saved_images
from riad.kernel import disk, logs
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.digest import parse_digest
from riad.oci.platform import Platform, parse_platform
from riad.oci.reference import Reference, parse_reference

_PIECE = 1 << 20
_log = logs.named("engine.api")


def routes(*, images: Images, puller: Puller, pusher: Pusher) -> list[web.RouteDef]:
    @cancellable
    async def create(request: web.Request) -> web.StreamResponse:
        if "fromImage" in request.query:
            return await _pull(request, puller)
        if "fromSrc" in request.query:
            return await _import(request, images)
        raise invalid("fromImage or fromSrc is missing: which image, or which source")

    @cancellable
    async def push(request: web.Request) -> web.StreamResponse:
        return await _push(request, pusher)

    @cancellable
    async def load_(request: web.Request) -> web.StreamResponse:
        quiet = flag(request.query, "quiet")
        _refuse(request, "platform")
        async with _progress(request) as lines:
            archive = request.content.iter_any()
            await load(images, archive, report=_only_results(lines) if quiet else lines.send)
        return lines.response

    @cancellable
    async def get_one(request: web.Request) -> web.StreamResponse:
        return await _send(request, images, [request.match_info["name"]])

    @cancellable
    async def get_several(request: web.Request) -> web.StreamResponse:
        names = [name for text in request.query.getall("names", []) for name in text.split(",") if name]
        if not names:
            raise invalid("names is missing: which images to save")
        return await _send(request, images, names)

    return [
        web.post("/images/create", create),
        web.post("/images/load", load_),
        web.get("/images/get", get_several),
        web.get("/images/{name:.+}/get", get_one),
        web.post("/images/{name:.+}/push", push),
    ]


def registry_credentials(request: web.Request) -> Credentials:
    return credentials_from_json(decoded_header(request, "X-Registry-Auth"))


async def _pull(request: web.Request, puller: Puller) -> web.StreamResponse:
    reference = pulled_reference(request.query["fromImage"], request.query.get("tag", ""))
    platform, credentials = _platform(request), registry_credentials(request)
    async with _progress(request) as lines:
        if reference.tag or reference.digest:
            await puller.pull(reference, credentials, platform=platform, report=lines.send)
        else:
            for tag in await puller.all_tags(reference, credentials):
                await puller.pull(reference.with_tag(tag), credentials, platform=platform, report=lines.send)
    return lines.response


def pulled_reference(name: str, tag: str) -> Reference:
    """`tag` may be a digest; empty where `name` has none either means all tags. Raises INVALID."""
    reference = parse_reference(name)
    if not tag:
        return reference
    return reference.with_digest(parse_digest(tag)) if ":" in tag else reference.with_tag(tag)


async def _import(request: web.Request, images: Images) -> web.StreamResponse:
    source = request.query["fromSrc"]
    reference = (
        pulled_reference(request.query["repo"], request.query.get("tag", "")) if request.query.get("repo") else None
    )
    if reference is not None and reference.digest is not None:
        raise invalid("cannot import digest reference")
    async with _progress(request) as lines, _source(request, source, images, lines.send) as archive:
        with archive.open("rb") as file:
            image = await import_image(
                images,
                file,
                source=source,
                reference=reference,
                message=request.query.get("message", ""),
                changes=request.query.getall("changes", []),
                platform=_platform(request),
            )
        await lines.send({"status": image.id})
    return lines.response


async def _push(request: web.Request, pusher: Pusher) -> web.StreamResponse:
    _refuse(request, "platform")
    named, tag = parse_reference(request.match_info["name"]), request.query.get("tag", "")
    if named.digest is not None:
        raise invalid("cannot push a digest reference")
    wanted = [named.with_tag(tag)] if tag else [named] if named.tag else pusher.tags(named)
    credentials = registry_credentials(request)
    async with _progress(request) as lines:
        await lines.send({"status": f"The push refers to repository [{named.repository}]"})
        for reference in wanted:
            done = await pusher.push(reference, credentials, report=lines.send)
            aux = {"Tag": done.tag, "Digest": done.digest, "Size": done.size}
            await lines.send({"progressDetail": {}, "aux": aux})
    return lines.response


async def _send(request: web.Request, images: Images, names: list[str]) -> web.StreamResponse:
    _refuse(request, "platform")
    with _pinned(images, names):
        return await _stream(request, images, names, save(images, names))


@contextmanager
def _pinned(images: Images, names: list[str]) -> Iterator[None]:
    """Their layers stay, whatever becomes of the images while they are sent."""
    layers = [layer for image in saved_images(images, names) for layer in image.layers]
    for layer in layers:
        images.layers.pin(layer)
    try:
        yield
    finally:
        for layer in layers:
            images.layers.unpin(layer)


async def _stream(
    request: web.Request, images: Images, names: list[str], pieces: Iterator[bytes]
) -> web.StreamResponse:
    ids = [images.get(name).id for name in names]
    response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
    response.enable_chunked_encoding()
    request[STARTED] = True
    await response.prepare(request)
    async for piece in _from_thread(pieces):
        await response.write(piece)
    await response.write_eof()
    for image in ids:
        images.announce("save", image, {"name": image})
    return response


async def _from_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Small pieces gathered to a mebibyte, each made in a thread."""

    def some() -> bytes:
        gathered = bytearray()
        for piece in pieces:
            gathered += piece
            if len(gathered) >= _PIECE:
                break
        return bytes(gathered)

    while piece := await asyncio.to_thread(some):
        yield piece


def _platform(request: web.Request) -> Platform | None:
    text = request.query.get("platform", "")
    return parse_platform(text) if text else None


def _refuse(request: web.Request, *names: str) -> None:
    for name in names:
        if request.query.get(name):
            raise unsupported(f"{name}={request.query[name]}: this engine keeps one platform per image")


@asynccontextmanager
async def _progress(request: web.Request) -> AsyncIterator[JsonLines]:
    lines = JsonLines(request)
    try:
        yield lines
    except Fault as fault:
        if not lines.opened:
            raise
        await _send_error(lines, fault.message)
    except Exception as error:
        if not lines.opened:
            raise
        refused = disk.refusal(error)
        if refused is None:
            _log.error("request failed", exc_info=error)
        await _send_error(lines, refused.message if refused else f"riad: {type(error).__name__}: {error}")
    async with lines:
        pass  # ends the body, also one in which nothing had to be said


async def _send_error(lines: JsonLines, message: str) -> None:
    await lines.send({"errorDetail": {"message": message}, "error": message})


def _only_results(lines: JsonLines) -> Report:
    async def report(line: Shape) -> None:
        if "stream" in line:
            await lines.send(line)

    return report


@asynccontextmanager
async def _source(request: web.Request, source: str, images: Images, report: Report) -> AsyncIterator[Path]:
    """What is to be imported: the body, or what is at an address."""
    if source == "-":
        async with _spooled(request.content.iter_chunked(_PIECE), images) as path:
            yield path
        return
    await report({"status": f"Downloading from {source}"})
    async with fetched(source, report) as pieces, _spooled(pieces, images) as path:
        yield path


@asynccontextmanager
async def _spooled(pieces: AsyncIterator[bytes], images: Images) -> AsyncIterator[Path]:
    """The bytes in a file, removed afterwards."""
    handle, name = tempfile.mkstemp(prefix="body-", dir=images.layers.incoming)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
        yield path
    finally:
        path.unlink(missing_ok=True)
