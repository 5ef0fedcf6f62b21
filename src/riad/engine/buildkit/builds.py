"""A build that a client asked for over BuildKit's protocol, from the frontend's options to a result."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.dockerfile.lint import LintFinding, Settings, findings
from riad.dockerfile.lint.check import failing
from riad.dockerfile.parse import parse
from riad.engine.build.contexts import Context, Definition, TarContext
from riad.engine.build.elsewhere import fetch_context
from riad.engine.build.plan import IMAGE
from riad.engine.build.progress import NO_STAGE, WorkFinished, WorkStarted
from riad.engine.build.receive import receive
from riad.engine.build.received import Folders
from riad.engine.build.solve import Builder
from riad.engine.build.solve import Job as BuildJob
from riad.engine.build.tree import Tree
from riad.engine.buildkit.caching import Caching, sources_of
from riad.engine.buildkit.failures import failed
from riad.engine.buildkit.frontend import FRONTENDS, Request, notes, read_request
from riad.engine.buildkit.jobs import Job, Outcome
from riad.engine.buildkit.messages.common import SourceInfo, lines
from riad.engine.buildkit.questions import answer
from riad.engine.buildkit.results import config_of
from riad.engine.buildkit.session import Session, Sessions
from riad.engine.buildkit.sources import Loading, SessionContext, named_folder
from riad.kernel.faults import Fault, unsupported

_UPLOADS = "buildkit-session"
_INPUT = "input/"


@dataclass(frozen=True, slots=True)
class Builds:
    builder: Builder
    sessions: Sessions
    folders: Folders
    caching: Caching

    async def build(self, job: Job, frontend: str, attrs: Mapping[str, str], inputs: Mapping[str, bytes]) -> Outcome:
        """`inputs` are results of other builds. Raises CallFailed with the Dockerfile's lines."""
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
            if request.question:
                return await self._answered(request, context)
            self._lint(job, request, await context.definition())
            given = job.request.cache.imports if job.request.cache else ()
            await self.caching.take_in(sources_of(attrs, given), session, job.reporter.tell)
            return await self._solved(job, request, session, context, folder, inputs)
        except Fault as fault:
            raise failed(fault, context.known if context is not None else None) from None

    async def _answered(self, request: Request, context: Context) -> Outcome:
        definition = await context.definition()
        options = request.options
        found: list[LintFinding] = []
        if request.question == "frontend.lint":
            found, _ = self._findings(request, definition)
        return Outcome(None, answer(request.question, definition, found, options.build_args, options.target))

    def _findings(self, request: Request, definition: Definition) -> tuple[list[LintFinding], Settings]:
        given = {name: value for name, value in request.options.build_args.items() if value is not None}
        return findings(
            definition.content,
            build_args=given,
            ignore=definition.ignore,
            bases=self._environments(definition),
            settings=request.settings.get("BUILDKIT_DOCKERFILE_CHECK"),
        )

    def _environments(self, definition: Definition) -> dict[int, frozenset[str]]:
        """The variables that base images bring, of those that are here."""
        found = {}
        for stage in parse(definition.content).stages:
            image = self.builder.parts.images.find(stage.base.image) if "$" not in stage.base.image else None
            if image is not None:
                found[stage.index] = frozenset(entry.partition("=")[0] for entry in image.config.config.env)
        return found

    def _lint(self, job: Job, request: Request, definition: Definition) -> None:
        """Findings are warnings of a build, or fail it where the Dockerfile says so. Raises INVALID."""
        found, settings = self._findings(request, definition)
        if found and settings.error:
            raise failing(found)
        for note in notes(parse(definition.content).directives.get("syntax", ""), request.settings):
            job.reporter.warn(note)
        source = SourceInfo(definition.name, definition.content)
        for finding in found:
            job.reporter.warn(
                str(finding),
                detail=(finding.rule.description,),
                url=finding.rule.url,
                source=source,
                ranges=(lines(finding.line, finding.end_line),),
            )

    async def _solved(
        self,
        job: Job,
        request: Request,
        session: Session,
        context: Context,
        folder: Path,
        inputs: Mapping[str, bytes],
    ) -> Outcome:
        given = {
            f"{_INPUT}{name}": config_of(definition) for name, definition in inputs.items() if name in _used(request)
        }
        named, files = self._named(request, session, job)
        build = BuildJob(context, request.options, folder, job.reporter.tell, session, named, files, given)
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
            if kind == "input":
                address = f"{IMAGE}{_INPUT}{rest}"
            elif kind == "local":
                files[name] = named_folder(loading, name, rest)
            elif kind != "docker-image":
                raise unsupported(f"the named context {name}={address} is not supported: use an image or a folder")
            named[name] = address
        return named, files


def _used(request: Request) -> set[str]:
    """The inputs that named contexts stand for."""
    return {address.removeprefix("input:") for address in request.named.values() if address.startswith("input:")}


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
        if self.known is None:
            self.known = await self._context.definition()
        return self.known

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return await self._context.tree(definition, wanted)
