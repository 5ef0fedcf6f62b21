"""Carrying out one step of a roll-out. Each may be carried out again: what is done already is found done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from riad.deploy import container, probe
from riad.deploy.edge.port import Edge, Route
from riad.deploy.model import Environment, Release
from riad.deploy.plan import DRAIN_SECONDS
from riad.deploy.ports import Images
from riad.dockerclient.client import DockerClient
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.images import RegistryAuth, split_reference
from riad.kernel.faults import Fault, Kind, conflict, unavailable

Say = Callable[[str], Awaitable[None]]

LOG_KEPT = 65536
STOP_SECONDS = 10


class Unhealthy(Fault):
    """The new release does not become healthy."""

    def __init__(self, message: str) -> None:
        super().__init__(Kind.CONFLICT, message)


@dataclass(frozen=True, slots=True)
class Steps:
    docker: DockerClient
    edge: Edge
    images: Images
    domain: str
    installation: str
    """Tells this Riad from others that use the same engine."""
    network: str = container.NETWORK
    drain_seconds: float = DRAIN_SECONDS

    async def fetch_image(self, environment: Environment, release: Release, say: Say) -> Release:
        """The release with its image pinned and its port known. Raises NOT_FOUND, INVALID (no port)."""
        with faults_ignored(Kind.NOT_FOUND):
            return self._known(release, await self.docker.images.inspect(release.image))
        began = monotonic()
        await say(f"pulling {release.image}")
        await self.docker.images.pull(release.image, await self._auth(environment, release))
        await say(f"pulled in {monotonic() - began:.1f} s")
        return self._known(release, await self.docker.images.inspect(release.image))

    async def start_container(self, environment: Environment, release: Release, say: Say) -> None:
        """Its container runs. One of the same name that is not this release's gives way."""
        name = container.container_name(environment, release.number)
        await self.docker.networks.ensure(self.network)
        found = await self._inspected(name)
        known = (found["Config"].get("Labels") or {}) if found is not None else {}
        if known.get(container.INSTALLATION, self.installation) != self.installation:
            raise conflict(f"the container {name} belongs to another Riad on this engine; deploy under another name")
        if found is not None and known.get("riad.release") != str(release.id):
            await self.docker.containers.remove(name, force=True)
            found = None
        if found is None:
            wanted = container.spec(environment, release, installation=self.installation, network=self.network)
            await self.docker.containers.create(wanted, name)
        try:
            await self.docker.containers.start(name)
        except Fault as fault:
            if fault.kind is Kind.UNAVAILABLE:
                raise
            raise Unhealthy(f"the container of release {release.number} does not start: {fault.message}") from None
        await say(f"started container {name}")

    async def wait_healthy(self, environment: Environment, release: Release, say: Say) -> str:
        """Its HOST:PORT once it answers. Raises `Unhealthy` with the last answer and the last lines of its log."""
        name = container.container_name(environment, release.number)
        port, deadline = release.settings.port, release.settings.deadline
        if port is None:
            raise conflict(f"the port of release {release.number} is not known")
        began, told, last, heard = monotonic(), 0.0, "it has no address yet", False
        while (elapsed := monotonic() - began) < deadline:
            host = await self._running_at(environment, release, name)
            if host is not None:
                answer = await probe.ask(
                    host, port, release.settings.health_path, name=f"{environment.service}.{self.domain}"
                )
                last, heard = answer.text, answer.heard
                if answer.healthy:
                    await say(f"healthy after {monotonic() - began:.1f} s: {answer.text}")
                    return container.joined(host, port)
            if elapsed - told >= 10:
                told = elapsed
                await say(f"not healthy after {elapsed:.0f} s of {deadline} s: {last}")
            await asyncio.sleep(probe.pause(elapsed, heard=heard))
        log = await self._last_lines(release, name)
        raise Unhealthy(
            f"release {release.number} did not become healthy within {deadline} s\nlast answer: {last}{log}"
        )

    async def switch(self, environment: Environment, release: Release) -> None:
        await self.edge.serve(self.route(environment), container.upstream(release))

    async def restore(self, environment: Environment, live: Release | None) -> None:
        """The route as it was before a roll-out that failed: to the live release, or to nothing."""
        route = container.route(environment, self.domain)
        if route is None:
            return
        if live is None or live.address is None:
            await self.edge.close(route)
        else:
            await self.edge.serve(route, container.upstream(live))

    async def drain(self, environment: Environment, number: int) -> None:
        """Waits for its connections, then forgets it at the edge; cuts what is left after `drain_seconds`."""
        route, name = container.route(environment, self.domain), container.upstream_name(number)
        if route is None:
            return
        began = monotonic()
        # the edge can only be asked, it does not tell
        while await self.edge.connections(route, name) and monotonic() - began < self.drain_seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await self.edge.remove(route, name)

    async def remove_container(self, environment: Environment, number: int) -> None:
        name = container.container_name(environment, number)
        with faults_ignored(Kind.NOT_FOUND):
            await self.docker.containers.stop(name, timeout=STOP_SECONDS)
        await self.docker.containers.remove(name, force=True)

    async def container_log(self, environment: Environment, number: int) -> str:
        """The end of what it wrote; "" where there is no container."""
        return await self._log(container.container_name(environment, number))

    async def remove_image(self, release: Release) -> None:
        """Leaves it where something else uses it."""
        repository = split_reference(release.image)[0]
        with faults_ignored(Kind.NOT_FOUND, Kind.CONFLICT):
            found = await self.docker.images.inspect(release.image)
            for tag in found.get("RepoTags") or []:
                if split_reference(tag)[0] == repository:
                    await self.docker.images.remove(tag)
            await self.docker.images.remove(str(found["Id"]))

    def route(self, environment: Environment) -> Route:
        """Raises CONFLICT for a stopped environment."""
        route = container.route(environment, self.domain)
        if route is None:
            raise conflict(f"environment {environment.name} is stopped")
        return route

    async def _auth(self, environment: Environment, release: Release) -> RegistryAuth | None:
        if "@" not in release.image:
            return None
        found = await asyncio.to_thread(self.images.credentials, environment.project_id)
        return RegistryAuth(found.username, found.password) if found else None

    def _known(self, release: Release, found: dict[str, Any]) -> Release:
        port = release.settings.port or container.exposed_port(release.image_name, found)
        repository = split_reference(release.image)[0]
        digests = [text for text in found.get("RepoDigests") or [] if split_reference(text)[0] == repository]
        pinned = release.image if "@" in release.image or not digests else digests[0]
        return replace(release, image=pinned, settings=replace(release.settings, port=port))

    async def _inspected(self, name: str) -> dict[str, Any] | None:
        with faults_ignored(Kind.NOT_FOUND):
            return await self.docker.containers.inspect(name)
        return None

    async def _running_at(self, environment: Environment, release: Release, name: str) -> str | None:
        found = await self._inspected(name)
        if found is None:
            raise unavailable(f"container {name} has disappeared")
        code = container.ended(found)
        if code is not None:
            log = await self._last_lines(release, name)
            raise Unhealthy(f"the container of release {release.number} ended with exit code {code}{log}")
        return container.address(found, self.network)

    async def _last_lines(self, release: Release, name: str) -> str:
        """The end of its log without the traces of our own probes, as the end of a message."""
        text = await self._log(name)
        lines = [
            line for line in text.strip().splitlines() if not probe.is_about_probe(line, release.settings.health_path)
        ]
        if not lines:
            return "\nits container wrote nothing"
        return "\nlast log lines:\n" + "\n".join(f"  {line[:500]}" for line in lines[-20:])

    async def _log(self, name: str) -> str:
        """The last lines of a container, `LOG_KEPT` bytes at most; "" where there is none."""
        written = bytearray()
        with faults_ignored(Kind.NOT_FOUND, Kind.UNSUPPORTED):
            async for chunk in self.docker.containers.logs(name, tail=500):
                written += chunk.data
                del written[:-LOG_KEPT]
        return written.decode(errors="replace").replace("\0", "")
