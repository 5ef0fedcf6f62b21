"""A client's session: the connection on which we call the client for its files, secrets, logins and keys.

The roles of HTTP/2 are turned round on it: the engine is the client. What a client offers, it says in the headers of
the request that opened the connection (session/manager.go).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from riad.engine.build.received import Folders
from riad.engine.buildkit.filesync import Received, Selection, receive
from riad.engine.buildkit.grpc import CallFailed, Client, Code
from riad.engine.buildkit.http2 import Connection, Stream, Wire
from riad.engine.buildkit.messages.control import BytesMessage
from riad.engine.buildkit.messages.session import (
    AgentRequest,
    CredentialsRequest,
    CredentialsResponse,
    SecretRequest,
    SecretResponse,
)
from riad.engine.buildkit.protobuf import decode, encode
from riad.engine.images.pull import ANONYMOUS
from riad.engine.images.registry.credentials import Credentials
from riad.kernel.faults import Fault, Kind, invalid, unavailable
from riad.oci.reference import DOCKER_HUB

_HUB = "registry-1.docker.io"
_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class Empty:
    """A message without fields."""


class Session:
    """`offered` are the paths of the methods that the client answers."""

    def __init__(self, name: str, shared_key: str, offered: frozenset[str], connection: Connection) -> None:
        self.name = name
        self.shared_key = shared_key
        self._offered = offered
        self._connection = connection
        self._client = Client(connection)

    def offers(self, method: str) -> bool:
        return method.lower() in self._offered

    async def folder(self, selection: Selection, folders: Folders) -> Received:
        """The client's folder `selection.name`. Raises INVALID with the client's reason."""
        self._need("/moby.filesync.v1.FileSync/DiffCopy", "it shares no folder")
        key = f"{self.shared_key}:{selection.name}" if self.shared_key and not selection.passing else ""
        try:
            return await receive(self._client, selection, folders, key)
        except CallFailed as failure:
            raise invalid(f"the client's folder {selection.name}: {failure.message}") from None

    async def secret(self, name: str) -> bytes | None:
        if not self.offers("/moby.buildkit.secrets.v1.Secrets/GetSecret"):
            return None
        try:
            path = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
            answer = await self._client.call(path, SecretRequest(name), SecretResponse)
        except CallFailed as failure:
            if failure.code in (Code.NOT_FOUND, Code.UNIMPLEMENTED):
                return None
            raise invalid(f"secret {name}: {failure.message}") from None
        return answer.data

    async def credentials(self, registry: str) -> Credentials:
        path = "/moby.filesync.v1.Auth/Credentials"
        if not self.offers(path):
            return ANONYMOUS
        host = _HUB if registry == DOCKER_HUB else registry
        try:
            answer = await self._client.call(path, CredentialsRequest(host), CredentialsResponse)
        except CallFailed:
            return ANONYMOUS
        if not answer.secret:
            return ANONYMOUS
        if not answer.username:
            return Credentials(identity_token=answer.secret)
        return Credentials(answer.username, answer.secret)

    async def has_agent(self, name: str) -> bool:
        path = "/moby.sshforward.v1.SSH/CheckAgent"
        if not self.offers(path):
            return False
        try:
            await self._client.call(path, AgentRequest(name), Empty)
        except CallFailed as failure:
            if failure.code in (Code.NOT_FOUND, Code.UNIMPLEMENTED):
                return False
            raise invalid(f"ssh agent {name}: {failure.message}") from None
        return True

    @asynccontextmanager
    async def agent(self, name: str, socket: Path) -> AsyncIterator[None]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, CallFailed):
                await self._forward(name, reader, writer)
            writer.close()

        folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)  # a socket's path may have 107 bytes only
        try:
            server = await asyncio.start_unix_server(serve, f"/proc/self/fd/{folder}/{socket.name}")
            try:
                yield
            finally:
                server.close()
        finally:
            os.close(folder)

    async def _forward(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = await self._client.start("/moby.sshforward.v1.SSH/ForwardAgent", [("buildkit.ssh.id", name)])

        async def there() -> None:
            while data := await reader.read(32768):
                await stream.send(encode(BytesMessage(data)))
            await stream.finish()

        async def back() -> None:
            while (message := await stream.receive()) is not None:
                writer.write(decode(BytesMessage, message).data)
                await writer.drain()

        tasks = [asyncio.ensure_future(there()), asyncio.ensure_future(back())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.abandon(stream)

    async def upload(self, host: str, path: str) -> AsyncIterator[bytes]:
        """What the client keeps ready under that address, such as a tar from its standard input."""
        self._need("/moby.upload.v1.Upload/Pull", "it uploads nothing")
        stream = await self._client.start("/moby.upload.v1.Upload/Pull", [("urlpath", path), ("urlhost", host)])
        while (message := await stream.receive()) is not None:
            yield decode(BytesMessage, message).data
        await self._ended(stream, "upload")

    async def send_start(self, metadata: Mapping[str, str]) -> Stream:
        """Begins to send an export; messages of bytes or of files, as the client's output has it."""
        self._need("/moby.filesync.v1.FileSend/DiffCopy", "it takes no output")
        return await self._client.start("/moby.filesync.v1.FileSend/DiffCopy", list(metadata.items()))

    async def send_end(self, stream: Stream) -> None:
        with suppress(ConnectionError):
            await stream.finish()
        await self._ended(stream, "output")

    async def close(self) -> None:
        await self._connection.close()

    async def _ended(self, stream: Stream, what: str) -> None:
        try:
            await self._client.result(stream)
        except CallFailed as failure:
            raise invalid(f"the client's {what}: {failure.message}") from None

    def _need(self, method: str, otherwise: str) -> None:
        if not self.offers(method):
            raise Fault(Kind.UNSUPPORTED, f"the client's session does not answer {method}: {otherwise}")


class Sessions:
    """The sessions that are open, by name."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._opened = asyncio.Condition()

    async def serve(self, wire: Wire, headers: Mapping[str, list[str]]) -> None:
        """Carries one session until its client ends it. Header names lower case."""
        name = next(iter(headers.get("x-docker-expose-session-uuid", [])), "")
        key = next(iter(headers.get("x-docker-expose-session-sharedkey", [])), "")
        methods = frozenset(method.lower() for method in headers.get("x-docker-expose-session-grpc-method", []))
        connection = Connection(wire)
        session = Session(name, key, methods, connection)
        async with self._opened:
            self._open[name] = session
            self._opened.notify_all()
        try:
            await connection.run()
        finally:
            if self._open.get(name) is session:
                del self._open[name]

    async def get(self, name: str) -> Session:
        """Waits for a session that its client is still opening. Raises UNAVAILABLE."""
        try:
            async with asyncio.timeout(_WAIT), self._opened:
                await self._opened.wait_for(lambda: name in self._open)
                return self._open[name]
        except TimeoutError:
            raise unavailable(f"no active session for {name}: the client did not open one, or left") from None
