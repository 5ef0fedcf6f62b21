"""POST /build in the classic builder's form.

Everything that can be refused before the build starts answers with an HTTP status; after the first line has gone out,
a failure is the last line, `{"errorDetail": {...}, "error": …}`. The client's leaving cancels the build.
"""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from riad.engine.build.clients import Silent
from riad.engine.build.contexts import Context
from riad.engine.build.elsewhere import fetch_context, is_elsewhere
from riad.engine.build.errors import CommandFailed
from riad.engine.build.options import BuildOptions
from riad.engine.build.progress import (
    Built,
    CacheUsed,
    CommandFinished,
    CommandStarted,
    Event,
    Output,
    PullProgress,
    StageFinished,
    StepFailed,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
    Warned,
    WorkAdvanced,
    WorkFinished,
    WorkStarted,
)
from riad.engine.build.receive import receive
from riad.engine.build.solve import Builder
from riad.engine.build.tree import TarTree
from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit, Resources
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import JsonLines
from riad.engine.dockerapi.wire import decoded_header, flag, whole
from riad.kernel import disk, logs
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.reference import parse_reference

_log = logs.named("engine.build")
_KNOWN = """
    dockerfile t extrahosts remote q nocache cachefrom pull rm forcerm memory memswap cpushares cpusetcpus cpusetmems
    cpuperiod cpuquota buildargs shmsize squash labels networkmode platform target outputs version ulimits
    cgroupparent securityopt isolation session buildid
""".split()  # noqa: SIM905 -- thirty quoted names read worse


def routes(*, builder: Builder) -> list[web.RouteDef]:
    @cancellable
    async def build(request: web.Request) -> web.StreamResponse:
        options = build_options(request)
        client = Silent(decoded_header(request, "X-Registry-Config"))
        quiet = flag(request.query, "q")
        async with builder.workplace() as folder:
            context: TarTree | Context
            if remote := request.query.get("remote", ""):
                context = await fetch_context(remote, options.dockerfile, client, folder)
            else:
                context = await receive(_body(request), folder / "context.tar")
            async with JsonLines(request) as lines:
                narrator = Narrator(lines, quiet=quiet)
                try:
                    image = await builder.build(context, options, folder=folder, progress=narrator.tell, client=client)
                    if quiet:
                        await lines.send({"stream": f"{image.id}\n"})
                except ConnectionError:
                    pass  # the client has gone, and the build with it
                except Exception as error:
                    await narrator.fail(error)
                return lines.response

    return [web.post("/build", build)]


class Narrator:
    """Renders a build's progress as the classic builder's lines; `quiet` keeps all but errors to itself."""

    def __init__(self, lines: JsonLines, *, quiet: bool) -> None:
        self._lines = lines
        self._quiet = quiet
        self._text = codecs.getincrementaldecoder("utf-8")(errors="replace")

    async def tell(self, event: Event) -> None:
        if self._quiet:
            return
        if isinstance(event, Output):
            text = self._text.decode(event.data)
            if text:
                await self._lines.send({"stream": text})
            return
        for line in rendered(event):
            await self._lines.send(line)

    async def fail(self, error: Exception) -> None:
        error = disk.refusal(error) or error
        if not isinstance(error, Fault):
            _log.error("build failed", exc_info=error)
        message = error.message if isinstance(error, Fault) else f"riad: {type(error).__name__}: {error}"
        detail: dict[str, Any] = {"message": message}
        if isinstance(error, CommandFailed):
            detail["code"] = error.code
        with contextlib.suppress(ConnectionError):
            await self._lines.send({"errorDetail": detail, "error": message})


def rendered(event: Event) -> list[dict[str, Any]]:
    """The lines of one event, as dockerd's classic builder words them."""
    match event:
        case StepStarted(number, total, text):
            if not number:
                return []
            return [{"stream": f"Step {number}/{total} : {text}"}, {"stream": "\n"}]
        case TriggersStarted(count):
            return [{"stream": f"# Executing {count} build trigger{'s' if count > 1 else ''}\n"}]
        case CacheUsed():
            return [{"stream": " ---> Using cache\n"}]
        case CommandStarted(container):
            return [{"stream": f" ---> Running in {container}\n"}]
        case CommandFinished(container):
            return [{"stream": f"Removing intermediate container {container}\n"}]
        case StepFinished(name):
            return [{"stream": f" ---> {name}\n"}]
        case PullProgress(detail):
            return [detail]
        case Warned(message):
            return [{"stream": f"[Warning] {message}\n"}]
        case Built(image):
            return [{"aux": {"ID": image}}, {"stream": f"Successfully built {image.short}\n"}]
        case Tagged(name):
            return [{"stream": f"Successfully tagged {name}\n"}]
        case StepFailed() | StageFinished() | WorkStarted() | WorkAdvanced() | WorkFinished():
            return []
    raise AssertionError(event)


def build_options(request: web.Request) -> BuildOptions:
    """Reads the query and headers. Raises INVALID or UNSUPPORTED that names the parameter."""
    query = request.query
    for name in query:
        if name not in _KNOWN:
            raise unsupported(f"build: the parameter {name} is not supported")
    _refuse(query)
    remote = query.get("remote", "")
    if remote and not is_elsewhere(remote):
        raise unsupported(f"build: remote: {remote}: expected a git repository, or http:// or https://")
    return BuildOptions(
        dockerfile=query.get("dockerfile") or "Dockerfile",
        tags=tuple(dict.fromkeys(_tag(text) for text in query.getall("t", []) if text)),
        target=query.get("target", ""),
        build_args=_map(query, "buildargs", nullable=True),
        labels={name: value or "" for name, value in _map(query, "labels").items()},
        no_cache=flag(query, "nocache"),
        pull=flag(query, "pull"),
        platform=query.get("platform", ""),
        network=query.get("networkmode") or "default",
        extra_hosts=tuple(text for entry in query.getall("extrahosts", []) for text in entry.split(",") if text),
        resources=_resources(query),
        limits=_limits(query),
        shm_size=whole(query, "shmsize") or DEFAULT_SHM_SIZE,
        allow=frozenset({"network.host"}),
        warnings=_warnings(query),
    )


_TROUBLE = {
    "squash": "squashing layers is not supported",
    "outputs": "outputs other than an image are not supported by the classic build protocol",
    "cgroupparent": "--cgroup-parent is not supported for builds",
    "securityopt": "--security-opt is not supported for builds",
    "session": "build sessions are not supported; set DOCKER_BUILDKIT=0",
}


def _refuse(query: Mapping[str, str]) -> None:
    for name, why in _TROUBLE.items():
        value = query.get(name, "")
        if value not in ("", "0", "false", "null", "[]"):
            raise unsupported(f"build: {name}: {why}")
    if query.get("version", "1") not in ("", "1"):
        raise unsupported("build: version=2 (BuildKit's protocol) is not supported; set DOCKER_BUILDKIT=0")
    if query.get("isolation", "default") not in ("", "default"):
        raise unsupported("build: isolation is for Windows containers")
    # rm and forcerm need no answer: the container of a step never outlives it, whatever they say.


def _warnings(query: Mapping[str, str]) -> tuple[str, ...]:
    """A cache image is a hint that pipelines give everywhere: it fails no build, but is not passed over."""
    if not _list(query, "cachefrom"):
        return ()
    return ("cachefrom has no effect: steps built on this engine are found by content; those of other places are not",)


def _tag(text: str) -> Any:
    reference = parse_reference(text)
    if reference.digest is not None:
        raise invalid(f"build: t: {text}: a build cannot be named by a digest")
    return reference.with_default_tag()


def _map(query: Mapping[str, str], name: str, *, nullable: bool = False) -> dict[str, str | None]:
    text = query.get(name, "")
    value = _json(name, text) if text else None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) or (nullable and v is None) for v in value.values()):
        raise invalid(f"build: {name}: expected a JSON object of texts")
    return value


def _list(query: Mapping[str, str], name: str) -> list[Any]:
    text = query.get(name, "")
    value = _json(name, text) if text else None
    if value is not None and not isinstance(value, list):
        raise invalid(f"build: {name}: expected a JSON list")
    return value or []


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(f"build: {name}: not JSON: {text[:80]}") from None


def _resources(query: Mapping[str, str]) -> Resources:
    return Resources(
        memory=whole(query, "memory") or None,
        memory_swap=whole(query, "memswap") or None,
        cpu_shares=whole(query, "cpushares") or None,
        cpu_quota=whole(query, "cpuquota") or None,
        cpu_period=whole(query, "cpuperiod") or None,
        cpuset_cpus=query.get("cpusetcpus", ""),
        cpuset_mems=query.get("cpusetmems", ""),
    )


def _limits(query: Mapping[str, str]) -> tuple[Limit, ...]:
    found = []
    for entry in _list(query, "ulimits"):
        try:
            found.append(Limit(f"RLIMIT_{entry['Name'].upper()}", int(entry["Soft"]), int(entry["Hard"])))
        except (TypeError, KeyError, ValueError, AttributeError):
            raise invalid(f"build: ulimits: {entry!r}: expected Name, Soft and Hard") from None
    return tuple(found)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_any():
        yield piece
