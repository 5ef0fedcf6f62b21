"""A build that a client asked for over BuildKit's protocol, from the frontend's options to a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from riad.engine.build.contexts import Context, Definition
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
            context = _Remembering(self._context(request, session, job))
            return await self._solved(job, request, session, context)
        except Fault as fault:
            raise failed(fault, context.known if context is not None else None) from None

    async def _solved(self, job: Job, request: Request, session: Session, context: Context) -> Outcome:
        folder = await job.stack.enter_async_context(self.builder.workplace())
        named, files = self._named(request, session, job)
        build = BuildJob(context, request.options, folder, job.reporter.tell, session, named, files)
        return Outcome(await job.stack.enter_async_context(self.builder.solved(build)))

    def _context(self, request: Request, session: Session, job: Job) -> Context:
        if request.context:
            raise unsupported(f"the context {request.context} is not supported: clone it, and build the folder")
        loading = Loading(session, self.folders, job.reporter.tell)
        return SessionContext(loading, request.options.dockerfile, request.dockerfile_folder, request.context_folder)

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
