"""The executor port over any Docker Engine API.

A box is a container of the box's name. With services it is on a network of that name, each service a container
`NAME-service-N` beside it, reachable by its aliases; without, on the engine's default bridge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from riad.dockerclient.client import DockerClient
from riad.dockerclient.errors import EngineAway, faults_ignored
from riad.dockerclient.images import RegistryAuth
from riad.dockerclient.progress import Progress
from riad.kernel.faults import Fault, Kind
from riad.pipelines.language.model import Image, Service
from riad.pipelines.runner.executor import Files, ImageUnavailable, Life, Login, Order, Owner, Say, State
from riad.pipelines.runner.image_user import owner_of

SERVICE_PATIENCE = 30.0
# Far more than a trace takes, so that following it again after a restart finds it whole.
_BOUNDED_LOG = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "64m"}}}
_LIVES = {"created": Life.CREATED, "running": Life.RUNNING, "paused": Life.RUNNING, "restarting": Life.RUNNING}


class DockerExecutor:
    def __init__(self, docker: DockerClient, *, service_patience: float = SERVICE_PATIENCE) -> None:
        self._docker = docker
        self._service_patience = service_patience

    async def prepare(self, order: Order, files: Files, say: Say) -> None:
        await self.remove(order.name)
        image = await self._image(order.image, order.login, say)
        network = await self._services(order, say) if order.services else None
        container = await self._docker.containers.create(_spec(order, network), order.name)
        owner = await self._owner(container, image)
        await self.put(container, await files(owner))
        if order.services:
            await self._wait_for_services(order, say)

    async def start(self, name: str) -> None:
        await self._docker.containers.start(name)

    async def state(self, name: str) -> State:
        state = (await self._docker.containers.inspect(name))["State"]
        life = _LIVES.get(str(state.get("Status")), Life.ENDED)
        started = str(state.get("StartedAt") or "")
        mark = None if life is Life.CREATED or not started or started.startswith("0001-") else started
        return State(life, mark, int(state.get("ExitCode") or 0))

    async def output(self, name: str) -> AsyncIterator[bytes]:
        async for chunk in self._docker.containers.logs(name, follow=True):
            yield chunk.data

    async def wait(self, name: str) -> int:
        return await self._docker.containers.wait(name)

    async def put(self, name: str, files: BinaryIO) -> None:
        try:
            await self._docker.containers.put_archive(name, "/", files)
        finally:
            files.close()

    async def stop(self, name: str, *, grace: float) -> None:
        """SIGTERM to every process but the shell in front, as Ctrl-C would reach a whole terminal; then SIGKILL."""
        with suppress(Fault, TimeoutError):
            async with asyncio.timeout(5):
                await self._docker.containers.exec_run(name, ["sh", "-c", "kill -TERM -1"])
        with faults_ignored(Kind.NOT_FOUND, Kind.CONFLICT):
            await self._docker.containers.stop(name, timeout=max(1, round(grace)))

    async def fetch(self, name: str, path: str) -> AsyncIterator[bytes]:
        async for data in self._docker.containers.get_archive(name, path):
            yield data

    async def environ(self, name: str) -> Mapping[str, str]:
        listed = (await self._docker.containers.inspect(name))["Config"].get("Env") or []
        return dict(entry.split("=", 1) for entry in listed if "=" in entry)

    async def remove(self, name: str) -> None:
        await self._docker.containers.remove(name, force=True)
        beside = await self._docker.containers.list(stopped=True, filters={"label": [f"riad.box={name}"]})
        for container in beside:
            await self._docker.containers.remove(container["Id"], force=True)
        if beside:
            await self._docker.networks.remove(name)

    async def _image(self, image: Image, login: Login | None, say: Say) -> dict[str, Any]:
        """Its inspection; pulled only where it is not here, unless the policy says otherwise.

        An image of Riad's own registry is asked for each time: it may be here because of another project, and only
        the registry knows who may use it. Layers that are here are not fetched again.
        """
        policies = image.pull_policy or ("if-not-present",)
        for policy in policies[:-1]:
            try:
                return await self._image_by(policy, image, login, say)
            except ImageUnavailable as fault:
                say(f"WARNING: {fault.message}; trying the next pull policy")
        return await self._image_by(policies[-1], image, login, say)

    async def _image_by(self, policy: str, image: Image, login: Login | None, say: Say) -> dict[str, Any]:
        found = None
        own = login is not None and image.name.startswith(f"{login.registry}/")
        if own and policy == "never":
            raise ImageUnavailable(image.name, "images of Riad's registry are always asked for; leave pull_policy out")
        if policy != "always" and not own:
            with faults_ignored(Kind.NOT_FOUND):
                found = await self._docker.images.inspect(image.name)
        if found is None and policy == "never":
            raise ImageUnavailable(image.name, "it is not here, and its pull policy is `never`")
        if found is None:
            say(f"Pulling docker image {image.name} ...")
            await self._pull(image.name, login)
            found = await self._docker.images.inspect(image.name)
        say(f"Using docker image {str(found['Id'])[:19]} for {image.name} ...")
        return found

    async def _pull(self, name: str, login: Login | None) -> None:
        auth = None
        if login is not None and name.startswith(f"{login.registry}/"):
            auth = RegistryAuth(login.username, login.password, login.registry)
        try:
            await self._docker.images.pull(_with_tag(name), auth, _ignore)
        except EngineAway:
            raise
        except Fault as fault:
            raise ImageUnavailable(name, fault.message) from None

    async def _owner(self, container: str, image: Mapping[str, Any]) -> Owner:
        user = str((image.get("Config") or {}).get("User") or "")
        if user in ("", "0", "root", "0:0", "root:root"):
            return Owner()
        passwd = bytearray()
        with faults_ignored(Kind.NOT_FOUND):
            async for data in self._docker.containers.get_archive(container, "/etc/passwd"):
                passwd += data
        return owner_of(user, bytes(passwd))

    async def _services(self, order: Order, say: Say) -> str:
        await self._docker.networks.remove(order.name)
        await self._docker.networks.create(order.name, labels=order.labels)
        for number, service in enumerate(order.services):
            say(f"Starting service {service.name} ...")
            await self._image(Image(service.name, pull_policy=service.pull_policy), order.login, say)
            container = await self._docker.containers.create(
                _service_spec(order, service), f"{order.name}-service-{number}"
            )
            await self._docker.containers.start(container)
        return order.name

    async def _wait_for_services(self, order: Order, say: Say) -> None:
        """Until each listens on its lowest exposed port; a service that does not is worth a warning, no more."""
        async with asyncio.TaskGroup() as group:
            for number, service in enumerate(order.services):
                group.create_task(self._wait_for_service(f"{order.name}-service-{number}", service, order.name, say))

    async def _wait_for_service(self, container: str, service: Service, network: str, say: Say) -> None:
        found = await self._docker.containers.inspect(container)
        ports = sorted(int(p.partition("/")[0]) for p in found["Config"].get("ExposedPorts") or {} if p.endswith("tcp"))
        address = (found["NetworkSettings"]["Networks"].get(network) or {}).get("IPAddress")
        if not ports or not address:
            return
        deadline = asyncio.get_running_loop().time() + self._service_patience
        while asyncio.get_running_loop().time() < deadline:
            if await _listens(address, ports[0]):
                return
            if (await self.state(container)).life is Life.ENDED:
                break
            await asyncio.sleep(0.2)
        said = bytearray()
        async for chunk in self._docker.containers.logs(container, tail=10):
            said += chunk.data
        tail = bytes(said[-2000:]).decode(errors="replace").strip()
        say(f"WARNING: the service {service.name} does not listen on port {ports[0]}. Its last words:\n{tail}")


def _ignore(_progress: Progress) -> None:
    """The engine's progress bars are not for a log."""


async def _listens(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _with_tag(name: str) -> str:
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def _spec(order: Order, network: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "Image": order.image.name,
        "Cmd": list(order.command),
        "Env": [f"{key}={value}" for key, value in order.environ.items()],
        "WorkingDir": order.folder,
        "Labels": dict(order.labels),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "Binds": [f"{host}:{inside}" for host, inside in order.binds.items()],
            "ExtraHosts": ["riad.internal:host-gateway"],
            "NetworkMode": network or "default",
            **_BOUNDED_LOG,
        },
    }
    if order.image.entrypoint is not None:
        spec["Entrypoint"] = list(order.image.entrypoint) or [""]
    if network is not None:
        spec["NetworkingConfig"] = {"EndpointsConfig": {network: {"Aliases": ["build"]}}}
    return spec


def _service_spec(order: Order, service: Service) -> dict[str, Any]:
    environ = {**order.environ, **{variable.key: variable.value for variable in service.variables}}
    spec: dict[str, Any] = {
        "Image": service.name,
        "Env": [f"{key}={value}" for key, value in environ.items()],
        "Labels": {**order.labels, "riad.box": order.name},
        "HostConfig": {"NetworkMode": order.name, **_BOUNDED_LOG},
        "NetworkingConfig": {"EndpointsConfig": {order.name: {"Aliases": aliases(service)}}},
    }
    if service.entrypoint is not None:
        spec["Entrypoint"] = list(service.entrypoint) or [""]
    if service.command:
        spec["Cmd"] = list(service.command)
    return spec


def aliases(service: Service) -> list[str]:
    """The names a job reaches a service by: of `group/postgres:11` group__postgres and group-postgres, and its own."""
    name = service.name.partition("@")[0]
    head, _, last = name.rpartition("/")
    plain = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    plain = plain.replace(":", "")
    return list(dict.fromkeys([plain.replace("/", "__"), plain.replace("/", "-"), *service.aliases]))
