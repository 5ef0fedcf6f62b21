"""A build that a client asked for over BuildKit's protocol, from the frontend's options to a result."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.engine.build.contexts import Context, Definition, TarContext
from riad.engine.build.elsewhere import fetch_context
from riad.engine.build.progress import NO_STAGE, WorkFinished, WorkStarted
from riad.engine.build.receive import receive
from riad.engine.build.received import Folders
from riad.engine.build.solve import Builder
from riad.engine.build.solve import Job as BuildJob
from riad.engine.build.tree import Tree
from riad.engine.buildkit.failures import failed
from riad.engine.buildkit.frontend import FRONTENDS, Request, read_request
from riad.engine.buildkit.jobs import Job, Outcome
from riad.engine.buildkit.session import Session, Sessions
from riad.engine.buildkit.sources import Loading, SessionContext, named_folder
from riad.kernel.faults import Fault, unsupported

_UPLOADS = "buildkit-session"


@dataclass(frozen=True, slots=True)
class Builds:
    builder: Builder
    sessions: Sessions
    folders: Folders

    async def build(self, job: Job, frontend: str, attrs: Mapping[str, str]) -> Outcome:
        """Raises CallFailed with the Dockerfile's lines."""
        context: _Remembering | None = None
        try:
            if frontend not in FRONTENDS:
                raise unsupported(
                    f"frontend {frontend} is not supported: this engine builds Dockerfiles (dockerfile.v0)"
                )
            request = read_request(attrs, job.request.entitlements)
            session = await self.sessions.get(job.request.session)
            self.folders.enter()
            job.stack.callback(self.folders.leave)
            folder = await job.stack.enter_async_context(self.builder.workplace())
            context = _Remembering(await self._context(request, session, job, folder))
            return await self._solved(job, request, session, context, folder)
        except Fault as fault:
            raise failed(fault, context.known if context is not None else None) from None

    async def _solved(self, job: Job, request: Request, session: Session, context: Context, folder: Path) -> Outcome:
        named, files = self._named(request, session, job)
        build = BuildJob(context, request.options, folder, job.reporter.tell, session, named, files)
        return Outcome(await job.stack.enter_async_context(self.builder.solved(build)))

    async def _context(self, request: Request, session: Session, job: Job, folder: Path) -> Context:
        loading = Loading(session, self.folders, job.reporter.tell)
        filename = request.options.dockerfile
        shared = SessionContext(loading, filename, request.dockerfile_folder, request.context_folder)
        if not request.context:
            return shared
        found = await self._remote(request, session, job, folder)
        return Halves(shared, found) if request.dockerfile_apart else found

    async def _remote(self, request: Request, session: Session, job: Job, folder: Path) -> Context:
        """A context at an address; one on the pretended host of uploads comes from the client itself."""
        work = f"[internal] load remote build context {request.context}".rstrip()
        await job.reporter.tell(NO_STAGE, WorkStarted(work))
        parts = urllib.parse.urlsplit(request.context)
        try:
            if parts.hostname == _UPLOADS:
                pieces = session.upload(parts.netloc, parts.path)
                found: Context = TarContext(await receive(pieces, folder / "context.tar"), request.options.dockerfile)
            else:
                found = await fetch_context(
                    request.context, request.options.dockerfile, session, folder, subfolder=request.subfolder
                )
        except Fault as fault:
            await job.reporter.tell(NO_STAGE, WorkFinished(work, error=fault.message))
            raise
        await job.reporter.tell(NO_STAGE, WorkFinished(work))
        return found

    def _named(
        self, request: Request, session: Session, job: Job
    ) -> tuple[dict[str, str], dict[str, Callable[[], Awaitable[Tree]]]]:
        """The named contexts, and what opens those that are folders."""
        loading = Loading(session, self.folders, job.reporter.tell)
        named: dict[str, str] = {}
        files: dict[str, Callable[[], Awaitable[Tree]]] = {}
        for name, address in request.named.items():
            kind, _, rest = address.partition(":")
            if kind == "local":
                files[name] = named_folder(loading, name, rest)
            elif kind != "docker-image":
                raise unsupported(f"the named context {name}={address} is not supported: use an image or a folder")
            named[name] = address
        return named, files


@dataclass(frozen=True, slots=True)
class Halves:
    """The Dockerfile from one place, the files from another."""

    dockerfile: SessionContext
    files: Context

    async def definition(self) -> Definition:
        return await self.dockerfile.definition_alone()

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return await self.files.tree(definition, wanted)


class _Remembering:
    """A context that remembers its definition, for the lines in messages."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.known: Definition | None = None

    async def definition(self) -> Definition:
        self.known = await self._context.definition()
        return self.known

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return await self._context.tree(definition, wanted)
