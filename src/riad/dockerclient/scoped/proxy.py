"""One project's view of an engine, as an aiohttp application. `rules.decide` says what each request is."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from riad.dockerclient.client import DockerClient
from riad.dockerclient.scoped import filters
from riad.dockerclient.scoped.containers import ContainerSide
from riad.dockerclient.scoped.images import ImageSide
from riad.dockerclient.scoped.lookups import Lookups
from riad.dockerclient.scoped.relay import Relay, answered, chosen, path_of
from riad.dockerclient.scoped.rules import Action, Decision, decide
from riad.dockerclient.scoped.scope import Scope
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind, denied

log = logs.named("scoped")

STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 400,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 501,
    Kind.EXHAUSTED: 429,
    Kind.INTERNAL: 500,
}
_ABOUT_IMAGES = frozenset(action for action in Action if action.name.startswith("IMAGE")) | {Action.BUILD}
# What clients need to know of an engine; how much of what others have on it is nobody's business.
_INFO = frozenset(
    (
        "OSType", "Architecture", "NCPU", "MemTotal", "ServerVersion", "OperatingSystem", "OSVersion", "KernelVersion",
        "Driver", "DefaultRuntime", "SecurityOptions", "CgroupDriver", "CgroupVersion", "MemoryLimit", "SwapLimit",
        "PidsLimit", "CPUShares", "CPUSet", "CpuCfsPeriod", "CpuCfsQuota", "IPv4Forwarding", "LoggingDriver",
        "IndexServerAddress", "Plugins", "Runtimes", "InitBinary", "ExperimentalBuild", "Isolation", "ProductLicense",
    )
)  # fmt: skip


_PLAIN = re.compile(r"[A-Za-z ,-]*")
"""Docker runs the host's ps with these arguments and trusts its columns; a renamed one shows other processes."""


class ScopedProxy:
    """`spool` is a folder for large bodies; the engine is at `docker_host`."""

    def __init__(self, docker_host: str, scope: Scope, spool: Path) -> None:
        self._scope = scope
        self._docker = DockerClient(docker_host)
        self._relay = Relay(docker_host)
        lookups = Lookups(self._docker, scope)
        self._containers = ContainerSide(scope, self._relay, lookups)
        self._images = ImageSide(scope, self._relay, lookups, spool)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=2**63)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def close(self) -> None:
        await self._relay.close()
        await self._docker.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = decide(request.method, request.path)
            _check_query(request, asked)
            return await self._answer(request, asked)
        except Fault as fault:
            return answered({"message": fault.message}, status=STATUS[fault.kind])
        except ConnectionResetError:
            raise
        except Exception:  # a request ends here
            log.exception("a request of a job failed", extra=logs.fields(method=request.method, path=request.path))
            return answered({"message": "riad: an internal error; the server's log has it"}, status=500)

    async def _answer(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        action = asked.rule.action
        if action in _ABOUT_IMAGES:
            return await self._images.answer(request, asked)
        path = path_of(asked.version, asked.path)
        if action is Action.PASS:
            body = request.content.iter_any() if request.body_exists else None
            return await self._relay.stream(request, path, body=body)
        if action is Action.INFO:
            status, found = await self._relay.whole(request, path)
            return answered(
                {key: value for key, value in found.items() if key in _INFO} if status == 200 else found, status=status
            )
        if action is Action.EVENTS:
            query = [(key, value) for key, value in chosen(request.query, asked.rule.query) if key != "filters"]
            query.append(("filters", filters.own_events(request.query.get("filters"), self._scope)))
            return await self._relay.stream(request, path, query)
        return await self._containers.answer(request, asked)


def _check_query(request: web.Request, asked: Decision) -> None:
    """Raises DENIED for a parameter that no rule knows. A build's are looked at one by one."""
    if "*" in asked.rule.query:
        return
    for value in request.query.getall("ps_args", ()):
        if not _PLAIN.fullmatch(value):
            raise denied(f"riad: ps_args: {value[:100]!r} is more than letters, commas and dashes")
    for name, value in request.query.items():
        if name not in asked.rule.query and value not in ("", "0", "false"):
            raise denied(f"riad: a job cannot use the parameter {name!r} of {request.method} {asked.path}")
