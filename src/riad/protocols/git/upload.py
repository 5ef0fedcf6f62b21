"""Fetch: git upload-pack between the client's request and our answer, both ways as streams."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from riad.kernel import logs
from riad.kernel.faults import Fault, Kind
from riad.protocols.git import errors
from riad.protocols.git.body import Body, Disconnected
from riad.protocols.git.program import Program

log = logs.named("git")


class Upload(Response):
    """An ASGI response that reads the request itself: git asks back and forth while it reads."""

    def __init__(self, repository: Path, *, protocol: str | None, gzipped: bool) -> None:
        super().__init__()
        self._repository = repository
        self._protocol = protocol
        self._gzipped = gzipped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(receive, gzipped=self._gzipped)
        arguments: list[str | Path] = ["upload-pack", "--stateless-rpc", "--strict", self._repository]
        program = await Program.start(arguments, protocol=self._protocol)
        sending = Sending(send, "application/x-git-upload-pack-result")
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(_feed(program, body))
                async for data in program.output():
                    await sending.send(data)
                await program.wait()
                feeding.cancel()
            await sending.end(program)
        except* (Disconnected, OSError):
            pass
        except* Fault as faults:
            await sending.refuse(_first(faults))
        finally:
            await program.stop()


async def _feed(program: Program, body: Body) -> None:
    await program.feed(b"", body)
    await body.gone()
    raise Disconnected


def _first(faults: BaseExceptionGroup[Fault]) -> Fault:
    found = faults.exceptions[0]
    return found if isinstance(found, Fault) else _first(found)


class Sending:
    """The answer: its head goes out with the first bytes of the body, so that a fault before them can still be said."""

    def __init__(self, send: Send, media_type: str) -> None:
        self._send = send
        self._media_type = media_type
        self.started = False

    async def send(self, data: bytes) -> None:
        if not self.started:
            headers = {"Content-Type": self._media_type, **errors.NEVER_CACHED}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await self._send({"type": "http.response.start", "status": 200, "headers": raw})
            self.started = True
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, program: Program) -> None:
        """git's complaints that it could not tell the client itself are told here."""
        if not self.started and program.said:
            log.warning("git failed", extra=logs.fields(said=program.said))
            await self.refuse(Fault(Kind.INVALID, program.said))
            return
        await self.finish()

    async def finish(self) -> None:
        await self.send(b"")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, fault: Fault) -> None:
        """Too late where the answer has begun: then the connection is cut, and git says that we hung up."""
        if self.started:
            raise fault
        self.started = True
        response = errors.answer(fault)
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await self._send({"type": "http.response.body", "body": response.body, "more_body": False})
