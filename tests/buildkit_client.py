"""A client of BuildKit's protocol for tests: what buildx does for one build, with folders and secrets from memory.

It speaks through the engine's own gRPC code in the other role; that real clients agree with it, is shown by
tests/conformance/buildx wherever there is a buildx.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from riad.engine.buildkit.grpc import Call, CallFailed, Client, Code, Service, method, serving
from riad.engine.buildkit.http2 import Connection
from riad.engine.buildkit.messages.control import (
    Exporter,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    StatusResponse,
    Vertex,
)
from riad.engine.buildkit.messages.session import Packet, PacketType, SecretRequest, SecretResponse, Stat
from riad.engine.buildkit.protobuf import decode, encode

_DIRECTORY = 1 << 31
_FILESYNC = "/moby.filesync.v1.FileSync/DiffCopy"
_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"


class SocketWire:
    """A connected socket as the protocol code wants it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> SocketWire:
        return cls(*await asyncio.open_connection(sock=sock))

    async def read(self, limit: int = 65536) -> bytes:
        return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()


Files = Mapping[str, bytes]


@dataclass(slots=True)
class Folder:
    """Files by path; every entry has the time `mtime`. Counts what was asked for."""

    files: Files
    mtime: int = 10**18
    asked: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)

    async def serve(self, call: Call) -> None:
        headers = call.stream.headers
        follow = [value for name, value in headers if name == "followpaths"]
        exclude = [value for name, value in headers if name == "exclude-patterns"]
        names = [
            name
            for name in self._entries()
            if not any(fnmatch(name, pattern) for pattern in exclude)
            and (not follow or any(_related(name, path) for path in follow))
        ]
        self.listed += names
        await call.stream.send(*(encode(Packet(stat=self._stat(name))) for name in names), b"")
        while (message := await call.stream.receive()) is not None:
            packet = decode(Packet, message)
            if packet.type == PacketType.FINISHED:
                await call.reply(Packet(PacketType.FINISHED))
                return
            name = names[packet.id]
            self.asked.append(name)
            pieces = [self.files[name], b""]
            await call.stream.send(*(encode(Packet(PacketType.DATA, id=packet.id, data=piece)) for piece in pieces))

    def _entries(self) -> list[str]:
        folders = {"/".join(name.split("/")[:depth]) for name in self.files for depth in range(1, name.count("/") + 1)}
        return sorted({*self.files, *folders}, key=lambda name: name.split("/"))

    def _stat(self, name: str) -> Stat:
        content = self.files.get(name)
        if content is None:
            return Stat(name, _DIRECTORY | 0o755, mtime_ns=self.mtime)
        return Stat(name, 0o644, size=len(content), mtime_ns=self.mtime)


def _related(name: str, path: str) -> bool:
    return name == path or fnmatch(name, path) or name.startswith(path + "/") or path.startswith(name + "/")


@dataclass(frozen=True, slots=True)
class Built:
    response: Mapping[str, str]
    news: list[StatusResponse]

    @property
    def vertexes(self) -> dict[str, Vertex]:
        """The last that was told of each, by name."""
        return {vertex.name: vertex for news in self.news for vertex in news.vertexes}

    @property
    def output(self) -> str:
        return b"".join(log.msg for news in self.news for log in news.logs).decode()


class BuildKitClient:
    """`key` names the folder's owner to the engine, so that the next build sends changes only."""

    def __init__(self, path: Path, *, key: str = "test") -> None:
        self._path = path
        self._key = key

    async def build(
        self,
        context: Folder | Files,
        *,
        dockerfile: Folder | None = None,
        folders: Mapping[str, Folder] | None = None,
        secret: Mapping[str, bytes] | None = None,
        exporter: Exporter | None = None,
        entitlements: tuple[str, ...] = (),
        attrs: Mapping[str, str] | None = None,
    ) -> Built:
        """Raises CallFailed where the build does. The Dockerfile lies in the context unless it is given apart."""
        folder = context if isinstance(context, Folder) else Folder(context)
        shared = {"context": folder, "dockerfile": dockerfile or folder, **(folders or {})}
        async with self._session(shared, secret or {}) as session, self._control() as control:
            ref = secrets.token_hex(12)
            request = SolveRequest(
                ref,
                session=session,
                frontend="dockerfile.v0",
                frontend_attrs=attrs or {},
                entitlements=entitlements,
                exporters=(exporter or Exporter("moby", {"name": "made:1"}),),
            )
            following = asyncio.ensure_future(self._follow(control, ref))
            try:
                answer = await control.call("/moby.buildkit.v1.Control/Solve", request, SolveResponse)
            finally:
                news = await following
        return Built(answer.exporter_response, news)

    async def _follow(self, control: Client, ref: str) -> list[StatusResponse]:
        stream = await control.start("/moby.buildkit.v1.Control/Status")
        await stream.send(encode(StatusRequest(ref)))
        await stream.finish()
        news = []
        while (message := await stream.receive()) is not None:
            news.append(decode(StatusResponse, message))
        return news

    @asynccontextmanager
    async def _session(self, folders: Mapping[str, Folder], secret: Mapping[str, bytes]) -> AsyncIterator[str]:
        async def sync(call: Call) -> None:
            await folders[call.metadata["dir-name"]].serve(call)

        async def reveal(request: SecretRequest, _: Call) -> SecretResponse:
            if request.id not in secret:
                raise CallFailed(Code.NOT_FOUND, f"secret {request.id}: not found")
            return SecretResponse(secret[request.id])

        service: Service = {_FILESYNC: sync, _SECRET: method(SecretRequest, reveal)}
        name = secrets.token_hex(12)
        headers = {"X-Docker-Expose-Session-Uuid": name, "X-Docker-Expose-Session-Sharedkey": self._key}
        lines = [f"{key}: {value}" for key, value in headers.items()]
        lines += [f"X-Docker-Expose-Session-Grpc-Method: {path}" for path in service]
        connection = Connection(await self._upgraded("/session", lines), serving(service))
        task = asyncio.ensure_future(connection.run())
        try:
            yield name
        finally:
            await connection.close()
            await task

    @asynccontextmanager
    async def _control(self) -> AsyncIterator[Client]:
        connection = Connection(await self._upgraded("/grpc", []))
        task = asyncio.ensure_future(connection.run())
        try:
            yield Client(connection)
        finally:
            await connection.close()
            await task

    async def _upgraded(self, path: str, headers: list[str]) -> SocketWire:
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        lines = [f"POST {path} HTTP/1.1", "Host: docker", "Connection: Upgrade", "Upgrade: h2c", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        return SocketWire(reader, writer)
