"""Push: git receive-pack, with its final answer held back until the push has been announced (`forge.pushes`).

Progress passes at once, so that a large push shows life. A client that leaves before its pack is complete ends git; one
that leaves afterwards changes nothing: what git has done is announced either way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from riad.forge import pushes
from riad.forge.model import RefUpdate
from riad.kernel import logs
from riad.kernel.faults import Fault
from riad.protocols.git.access import Allowed
from riad.protocols.git.body import Body, Disconnected
from riad.protocols.git.pktline import FLUSH, Answer, CommandReader, Commands, refusal
from riad.protocols.git.program import Program
from riad.protocols.git.services import Services
from riad.protocols.git.upload import Sending

log = logs.named("git")


class Push(Response):
    """An ASGI response that reads the request itself."""

    def __init__(self, services: Services, allowed: Allowed, repository: Path, *, gzipped: bool) -> None:
        super().__init__()
        self._services = services
        self._allowed = allowed
        self._repository = repository
        self._gzipped = gzipped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = Sending(send, "application/x-git-receive-pack-result")
        body = Body(receive, gzipped=self._gzipped)
        try:
            reader = await _commands(body)
            assert reader.commands is not None
            if not reader.commands.updates:  # git's probe, before it sends a large pack
                await body.drain()
                await sending.send(FLUSH)
                await sending.finish()
                return
            if reason := self._services.objection(reader.commands.options):
                await body.drain()
                await sending.send(refusal(reader.commands, reason))
                await sending.finish()
                return
            await self._push(reader.seen, reader.commands, body, sending)
        except Disconnected:
            log.info("a client left in its push", extra=logs.fields(project=self._allowed.project.path))
        except Fault as fault:
            if not sending.started:
                await body.drain()
            await sending.refuse(fault)

    async def _push(self, start: bytes, commands: Commands, body: Body, sending: Sending) -> None:
        push_id = await run_in_threadpool(self._begin, commands)
        answer = Answer(sideband=commands.sideband)
        try:
            with pushes.in_progress(self._repository) as lock:
                await self._run(_Streams(start, body, sending, answer), lock)
        finally:
            settling = asyncio.create_task(run_in_threadpool(self._settle, push_id, answer))
            happened = await asyncio.shield(settling)
        remarks = self._services.remarks(self._allowed.project, happened) if happened else ()
        await sending.send(answer.remarks(tuple(remarks)) + bytes(answer.held))
        await sending.finish()

    async def _run(self, streams: _Streams, lock: int) -> None:
        program = await Program.start(self._arguments(), keep_open=[lock])
        try:
            feeding = asyncio.create_task(program.feed(streams.start, streams.body))
            try:
                async for data in program.output():
                    await streams.pass_on(data)
                await feeding
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            code = await program.wait()
            if code != 0 and program.said:
                log.warning("git receive-pack failed", extra=logs.fields(code=code, said=program.said))
        finally:
            await program.stop()

    def _arguments(self) -> list[str | Path]:
        limit = f"receive.maxInputSize={self._services.largest_push}"
        return ["-c", limit, "receive-pack", "--stateless-rpc", self._repository]

    def _begin(self, commands: Commands) -> int:
        user = self._allowed.principal.user
        assert user is not None, "nobody pushes without a user: access has checked it"
        with self._services.database.write() as session:
            return pushes.begin(
                session,
                project_id=self._allowed.project.id,
                user_id=user.id,
                updates=commands.updates,
                options=commands.options,
                clock=self._services.clock,
            )

    def _settle(self, push_id: int, answer: Answer) -> list[RefUpdate]:
        services = self._services
        with services.database.write() as session:
            happened = pushes.settle(
                session, services.repositories, push_id, accepted=answer.accepted(), clock=services.clock
            )
        if happened:
            services.announced()
        return happened


@dataclass(slots=True)
class _Streams:
    start: bytes
    body: Body
    sending: Sending
    answer: Answer
    deaf: bool = field(default=False)
    """The client has left after its pack was complete: git goes on, nobody hears it."""

    async def pass_on(self, data: bytes) -> None:
        progress = self.answer.feed(data)
        if progress and not self.deaf:
            try:
                await self.sending.send(progress)
            except OSError:
                self.deaf = True


async def _commands(body: Body) -> CommandReader:
    reader = CommandReader()
    while (chunk := await body.chunk()) is not None:
        reader.feed(chunk)
        if reader.commands is not None:
            return reader
    raise Disconnected
