"""A Docker Engine API in memory, on a unix socket: containers "run" Python coroutines, nothing touches the kernel.

    async with FakeDockerEngine(tmp_path / "engine.sock") as engine:
        engine.add_image("python:3.11")
        engine.program("python:3.11", outcome(stdout=b"hello\n", code=0))
        async with DockerClient(engine.host) as docker: ...

Steering: `program` scripts what containers of an image do, `fail_next("start")` makes one request fail,
`go_away` / `come_back` stop and start the daemon while containers run on, `die(id)` kills a container's process.
A started container gets an address below 127/8, so that a program may really listen on it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import itertools
import json
import os
import tarfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from riad.dockerclient.frames import Stream, frame
from riad.dockerclient.scoped.takeover import Taken, take_over

ZERO = "0001-01-01T00:00:00Z"
Program = Callable[["FakeContainer"], Awaitable[int]]
Exec = Callable[["FakeContainer", list[str], bytes], Awaitable[tuple[int, bytes]]]


def outcome(*, stdout: bytes = b"", stderr: bytes = b"", code: int = 0, files: dict[str, bytes] | None = None):
    """A program that writes, leaves files behind (absolute paths) and ends with `code`."""

    async def run(container: FakeContainer) -> int:
        container.write(stdout)
        container.write(stderr, Stream.STDERR)
        container.files.update(files or {})
        return code

    return run


def forever(*, stdout: bytes = b""):
    """A program that writes and runs until it is asked to stop (143)."""

    async def run(container: FakeContainer) -> int:
        container.write(stdout)
        await container.stopping.wait()
        return 143

    return run


@dataclass
class FakeImage:
    id: str
    tags: set[str]
    digests: set[str] = field(default_factory=set)
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeContainer:
    """What a program gets: `spec` is the create document; `files` by absolute path; `ip` of its first network."""

    id: str
    name: str
    spec: dict[str, Any]
    image: FakeImage
    files: dict[str, bytes] = field(default_factory=dict)
    status: str = "created"
    code: int = 0
    ip: str = ""
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[Stream, bytes]] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None
    created: float = field(default_factory=time.time)
    starts: int = 0
    removed: bool = False

    @property
    def labels(self) -> dict[str, str]:
        return {**(self.image.config.get("Labels") or {}), **(self.spec.get("Labels") or {})}

    def write(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        if data:
            self.log.append((stream, data))
            self.poke()

    def poke(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        _pokes.add(task)
        task.add_done_callback(_pokes.discard)


_pokes: set[asyncio.Task[None]] = set()
_engines = itertools.count()


class Refusal(Exception):  # noqa: N818 -- an answer, not an error
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FakeDockerEngine:
    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.host = f"unix://{socket}"
        self.images: dict[str, FakeImage] = {}
        self.registry: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, FakeContainer] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.sent: list[tuple[str, dict[str, str], Any]] = []
        self.pulled_with: list[dict[str, Any]] = []
        self.builds: list[tuple[dict[str, list[str]], bytes]] = []
        self.on_exec: Exec = _no_exec
        self._programs: list[tuple[str, Program]] = []
        self._failures: list[tuple[str, int, str]] = []
        self._asked: dict[str, asyncio.Event] = {}
        self._ids = itertools.count(1)
        self._addresses = itertools.count(2)
        self._block = f"127.{64 + os.getpid() % 128}.{next(_engines) % 256}"
        self._events: list[asyncio.Queue[dict[str, Any]]] = []
        self._history: list[dict[str, Any]] = []
        self._runner: web.AppRunner | None = None
        self._execs: dict[str, dict[str, Any]] = {}
        self.add_network("bridge")

    # -- steering

    def add_image(self, tag: str, *, config: dict[str, Any] | None = None, digest: str | None = None) -> FakeImage:
        image = FakeImage("sha256:" + hashlib.sha256(f"{tag}{config}".encode()).hexdigest(), {_tagged(tag)})
        image = self.images.setdefault(image.id, image)
        image.config = config or {}
        for other in self.images.values():
            other.tags.discard(_tagged(tag))
        image.tags.add(_tagged(tag))
        if digest:
            image.digests.add(f"{tag.rpartition(':')[0] or tag}@{digest}")
        return image

    def offer(self, reference: str, *, config: dict[str, Any] | None = None) -> None:
        """Makes `NAME:TAG` or `NAME@DIGEST` pullable."""
        self.registry[_tagged(reference)] = config or {}

    def program(self, image_prefix: str, program: Program) -> None:
        """Containers whose image name starts so run this; the latest matching one counts. Without: exit 0."""
        self._programs.insert(0, (image_prefix, program))

    def fail_next(self, operation: str, *, status: int = 500, message: str = "scripted failure") -> None:
        """The next request of that operation (the handler's name: start, create, pull, wait, put_archive …) fails."""
        self._failures.append((operation, status, message))

    async def asked(self, operation: str) -> None:
        """Returns once a request of that operation has arrived."""
        await asyncio.wait_for(self._asked.setdefault(operation, asyncio.Event()).wait(), 10)

    def container(self, name: str) -> FakeContainer:
        """By name, id or beginning of an id."""
        wanted = name.removeprefix("/")
        for found in self.containers.values():
            if found.name == wanted or found.id == wanted or (len(wanted) >= 6 and found.id.startswith(wanted)):
                return found
        raise Refusal(404, f"No such container: {name}")

    async def die(self, name: str, code: int = 137) -> None:
        """The process ends on its own."""
        await self._end(self.container(name), code)

    def add_network(self, name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
        network = {
            "Id": self._new_id(),
            "Name": name,
            "Driver": "bridge",
            "Scope": "local",
            "Labels": labels or {},
            "IPAM": {"Config": [{"Subnet": f"{self._block}.0/24", "Gateway": f"{self._block}.1"}]},
        }
        self.networks[name] = network
        return network

    # -- life

    async def __aenter__(self) -> FakeDockerEngine:
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_away()
        for container in list(self.containers.values()):
            await self._end(container, 137)

    async def come_back(self) -> None:
        app = web.Application(middlewares=[self._middleware], client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        self.socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def go_away(self) -> None:
        """The daemon is gone, connections are cut; containers run on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.socket.unlink(missing_ok=True)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        try:
            response: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            return _json({"message": str(refusal)}, status=refusal.status)
        if not response.prepared and not isinstance(response, Taken):
            response.headers["Api-Version"] = "1.47"
        return response

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if parts and parts[0].startswith("v1."):
            parts = parts[1:]
        for method, shape, name in _ROUTES:
            captured = _match(shape, parts) if method in (request.method, "*") else None
            if captured is not None:
                self._maybe_fail(name)
                self._asked.setdefault(name, asyncio.Event()).set()
                handler = getattr(self, f"_{name}")
                answer = await handler(request, *captured)
                return answer if isinstance(answer, web.StreamResponse) else _json(answer)
        raise Refusal(501, f"fake: {request.method} {request.path} is not implemented")

    def _maybe_fail(self, operation: str) -> None:
        for failure in self._failures:
            if failure[0] == operation:
                self._failures.remove(failure)
                raise Refusal(failure[1], failure[2])

    def _new_id(self) -> str:
        return hashlib.sha256(f"{self.socket}{next(self._ids)}".encode()).hexdigest()

    def _emit(self, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
        now = time.time()
        event = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes},
            "scope": "local",
            "time": int(now),
            "timeNano": int(now * 1e9),
        }
        self._history.append(event)
        for queue in self._events:
            queue.put_nowait(event)

    def _emit_container(self, container: FakeContainer, action: str) -> None:
        attributes = {"name": container.name, "image": container.spec["Image"], **container.labels}
        self._emit("container", action, container.id, attributes)

    # -- system

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="OK" if request.method == "GET" else "")

    async def _version(self, request: web.Request) -> Any:
        return {"Version": "fake", "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}

    async def _info(self, request: web.Request) -> Any:
        return {"ID": "fake", "Containers": len(self.containers), "Images": len(self.images), "Name": "fake"}

    async def _events_stream(self, request: web.Request) -> web.StreamResponse:
        filters = _filters(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        if since := request.query.get("since"):
            for event in self._history:
                if event["timeNano"] >= float(since) * 1e9:
                    queue.put_nowait(event)
        self._events.append(queue)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            while True:
                event = await queue.get()
                if _event_passes(event, filters):
                    await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._events.remove(queue)

    # -- containers

    async def _create(self, request: web.Request) -> Any:
        spec = await request.json()
        self.sent.append(("create", dict(request.query), spec))
        image = self._image(spec.get("Image", ""))
        name = request.query.get("name") or f"c{len(self.containers)}-{self._new_id()[:6]}"
        if any(other.name == name for other in self.containers.values()):
            raise Refusal(409, f'Conflict. The container name "/{name}" is already in use')
        container = FakeContainer(self._new_id(), name, spec, image)
        mode = (spec.get("HostConfig") or {}).get("NetworkMode") or "bridge"
        wished = ((spec.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}) or (
            {} if mode in ("none", "host") else {"bridge" if mode == "default" else mode: {}}
        )
        for wish, endpoint in wished.items():
            network = "bridge" if wish == "default" else wish
            if network not in self.networks:
                raise Refusal(404, f"network {network} not found")
            container.networks[network] = dict(endpoint or {})
        self.containers[container.id] = container
        self._emit_container(container, "create")
        return _json({"Id": container.id, "Warnings": []}, status=201)

    async def _start(self, request: web.Request, name: str) -> web.Response:
        container = self.container(name)
        if container.status == "running":
            return web.Response(status=304)
        container.status, container.code, container.starts = "running", 0, container.starts + 1
        container.ip = f"{self._block}.{next(self._addresses) % 250 + 2}"
        container.stopping = asyncio.Event()
        container.task = asyncio.create_task(self._run(container))
        self._emit_container(container, "start")
        return web.Response(status=204)

    async def _run(self, container: FakeContainer) -> None:
        names = [container.spec["Image"], *container.image.tags, *container.image.digests]
        program = next((p for prefix, p in self._programs if any(n.startswith(prefix) for n in names)), outcome())
        try:
            code = await program(container)
        except Exception as error:
            container.write(f"{type(error).__name__}: {error}\n".encode(), Stream.STDERR)
            code = 1
        self._ended(container, code)

    def _ended(self, container: FakeContainer, code: int) -> None:
        container.status, container.code, container.ip = "exited", code, ""
        container.poke()
        self._emit_container(container, "die")

    async def _end(self, container: FakeContainer, code: int) -> None:
        if container.status == "running" and container.task is not None:
            container.task.cancel()
            with suppress(asyncio.CancelledError):
                await container.task
            self._ended(container, code)

    async def _stop(self, request: web.Request, name: str) -> web.Response:
        container = self.container(name)
        if container.status != "running" or container.task is None:
            return web.Response(status=304)
        container.stopping.set()
        await asyncio.wait([container.task], timeout=float(request.query.get("t", "10")))
        await self._end(container, 137)
        self._emit_container(container, "stop")
        return web.Response(status=204)

    async def _kill(self, request: web.Request, name: str) -> web.Response:
        container = self.container(name)
        if container.status != "running":
            raise Refusal(409, f"Container {name} is not running")
        if request.query.get("signal", "SIGKILL") in ("SIGKILL", "KILL", "9"):
            await self._end(container, 137)
        else:
            container.stopping.set()
        return web.Response(status=204)

    async def _restart(self, request: web.Request, name: str) -> web.Response:
        await self._stop(request, name)
        return await self._start(request, name)

    async def _remove(self, request: web.Request, name: str) -> web.Response:
        container = self.container(name)
        if container.status == "running":
            if request.query.get("force") not in ("1", "true"):
                raise Refusal(409, f"You cannot remove a running container {container.id}")
            await self._end(container, 137)
        del self.containers[container.id]
        container.removed = True
        container.poke()
        self._emit_container(container, "destroy")
        return web.Response(status=204)

    async def _inspect(self, request: web.Request, name: str) -> Any:
        container = self.container(name)
        running = container.status == "running"
        return {
            "Id": container.id,
            "Name": f"/{container.name}",
            "Image": container.image.id,
            "Created": _time(container.created),
            "State": {
                "Status": container.status,
                "Running": running,
                "ExitCode": container.code,
                "Pid": 4242 if running else 0,
                "OOMKilled": False,
                "Error": "",
                "StartedAt": _time(container.created) if container.starts else ZERO,
                "FinishedAt": ZERO,
            },
            "RestartCount": max(0, container.starts - 1),
            "Config": {**container.spec, "Labels": container.labels, "Tty": bool(container.spec.get("Tty"))},
            "HostConfig": container.spec.get("HostConfig") or {},
            "Mounts": [],
            "NetworkSettings": {"Networks": self._endpoints(container)},
        }

    def _endpoints(self, container: FakeContainer) -> dict[str, Any]:
        return {
            name: {
                "NetworkID": self.networks[name]["Id"],
                "IPAddress": container.ip,
                "Gateway": f"{self._block}.1" if container.ip else "",
                "Aliases": endpoint.get("Aliases") or [],
            }
            for name, endpoint in container.networks.items()
        }

    async def _ps(self, request: web.Request) -> Any:
        filters, everything = _filters(request), request.query.get("all") in ("1", "true")
        return [
            {
                "Id": c.id,
                "Names": [f"/{c.name}"],
                "Image": c.spec["Image"],
                "ImageID": c.image.id,
                "Created": int(c.created),
                "State": c.status,
                "Status": c.status,
                "Labels": c.labels,
                "NetworkSettings": {"Networks": self._endpoints(c)},
            }
            for c in self.containers.values()
            if (everything or "status" in filters or c.status == "running")
            and _labels_match(c.labels, filters.get("label", []))
            and (not filters.get("name") or any(name.strip("^/$") in c.name for name in filters["name"]))
            and (not filters.get("status") or c.status in filters["status"])
            and (not filters.get("id") or any(c.id.startswith(i) for i in filters["id"]))
        ]

    async def _wait(self, request: web.Request, name: str) -> web.StreamResponse:
        container, condition = self.container(name), request.query.get("condition") or "not-running"
        starts = container.starts
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)

        def over() -> bool:
            if condition == "removed":
                return container.removed
            idle = container.status != "running"
            return idle and (condition == "not-running" or container.starts > starts or container.removed)

        async with container.changed:
            await container.changed.wait_for(over)
        await response.write(json.dumps({"StatusCode": container.code, "Error": None}).encode())
        return response

    async def _logs(self, request: web.Request, name: str) -> web.StreamResponse:
        container, follow = self.container(name), request.query.get("follow") in ("1", "true")
        framed = not container.spec.get("Tty")
        wanted = {s for s in (Stream.STDOUT, Stream.STDERR) if request.query.get(s.value) in ("1", "true")}
        entries = [entry for entry in container.log if entry[0] in wanted]
        tail = request.query.get("tail", "all")
        if tail.isdigit():
            lines = [(s, line) for s, data in entries for line in data.splitlines(keepends=True)]
            entries = lines[-int(tail) :] if int(tail) else []
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.raw-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        seen = len(container.log)
        while True:
            for stream, data in entries:
                await response.write(frame(stream, data) if framed else data)
            if not follow or (container.status != "running" and len(container.log) == seen):
                return response
            async with container.changed:
                await container.changed.wait_for(
                    lambda seen=seen: len(container.log) > seen or container.status != "running" or container.removed
                )
            entries, seen = [e for e in container.log[seen:] if e[0] in wanted], len(container.log)

    async def _attach(self, request: web.Request, name: str) -> web.StreamResponse:
        container = self.container(name)
        _reader, writer = take_over(request)
        writer.write(_UPGRADED)
        seen = len(container.log)
        while True:
            async with container.changed:
                await container.changed.wait_for(
                    lambda seen=seen: len(container.log) > seen or (container.starts and container.status == "exited")
                )
            for stream, data in container.log[seen:]:
                writer.write(frame(stream, data))
            seen = len(container.log)
            if container.status == "exited":
                writer.close()
                return Taken()

    async def _exec_create(self, request: web.Request, name: str) -> Any:
        container = self.container(name)
        if container.status != "running":
            raise Refusal(409, f"Container {container.id} is not running")
        exec_id = self._new_id()
        self._execs[exec_id] = {"container": container, "spec": await request.json(), "code": None}
        return _json({"Id": exec_id}, status=201)

    async def _exec_start(self, request: web.Request, exec_id: str) -> web.StreamResponse:
        found = self._exec(exec_id)
        await request.read()
        reader, writer = take_over(request)
        writer.write(_UPGRADED)
        stdin = await reader.read() if found["spec"].get("AttachStdin") else b""
        code, out = await self.on_exec(found["container"], found["spec"]["Cmd"], stdin)
        found["code"] = code
        if out:
            writer.write(frame(Stream.STDOUT, out))
        writer.close()
        return Taken()

    async def _exec_inspect(self, request: web.Request, exec_id: str) -> Any:
        found = self._exec(exec_id)
        return {
            "ID": exec_id,
            "ExitCode": found["code"],
            "Running": found["code"] is None,
            "ContainerID": found["container"].id,
        }

    def _exec(self, exec_id: str) -> dict[str, Any]:
        if exec_id not in self._execs:
            raise Refusal(404, f"No such exec instance: {exec_id}")
        return self._execs[exec_id]

    async def _put_archive(self, request: web.Request, name: str) -> web.Response:
        container, path = self.container(name), request.query["path"].rstrip("/")
        with tarfile.open(fileobj=io.BytesIO(await request.read())) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    container.files[f"{path}/{member.name.removeprefix('./')}"] = file.read()
        return web.Response()

    async def _get_archive(self, request: web.Request, name: str) -> web.Response:
        container, path = self.container(name), request.query["path"].rstrip("/")
        inner = path.removesuffix("/.")
        found = {file: data for file, data in container.files.items() if file == inner or file.startswith(f"{inner}/")}
        if not found:
            raise Refusal(404, f"Could not find the file {path} in container {name}")
        is_file = inner in found
        stat = {
            "name": inner.rpartition("/")[2],
            "size": len(found[inner]) if is_file else 4096,
            "mode": 0o644 if is_file else (1 << 31) | 0o755,
            "mtime": ZERO,
            "linkTarget": "",
        }
        root = inner if path.endswith("/.") else inner.rpartition("/")[0]
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as tar:
            for file, data in sorted(found.items()):
                member = tarfile.TarInfo(file[len(root) :].lstrip("/"))
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        headers = {"X-Docker-Container-Path-Stat": base64.b64encode(json.dumps(stat).encode()).decode()}
        return web.Response(
            body=b"" if request.method == "HEAD" else body.getvalue(), headers=headers, content_type="application/x-tar"
        )

    # -- images

    def _image(self, reference: str) -> FakeImage:
        wanted = reference.removeprefix("sha256:")
        for image in self.images.values():
            if _tagged(reference) in image.tags or reference in image.digests:
                return image
            if len(wanted) >= 6 and image.id.removeprefix("sha256:").startswith(wanted):
                return image
        raise Refusal(404, f"No such image: {_tagged(reference)}")

    async def _pull(self, request: web.Request) -> web.Response:
        query = request.query
        if "fromSrc" in query:
            body = await request.read()
            self.add_image(f"{query['repo']}:{query['tag']}", config={"Imported": len(body)})
            return _lines({"status": "sha256:done"})
        tag = query.get("tag") or "latest"
        reference = f"{query['fromImage']}{'@' if ':' in tag else ':'}{tag}"
        auth = request.headers.get("X-Registry-Auth", "e30=")
        self.pulled_with.append(json.loads(base64.urlsafe_b64decode(auth)))
        if reference not in self.registry:
            raise Refusal(404, f"manifest for {reference} not found: manifest unknown")
        if "@" in reference:
            image = self.add_image(query["fromImage"] + ":by-digest", config=self.registry[reference])
            image.tags.clear()
            image.digests.add(reference)
        else:
            self.add_image(reference, config=self.registry[reference])
        self._emit("image", "pull", reference, {"name": reference})
        return _lines({"status": f"Pulling {reference}"}, {"status": "Download complete", "id": "layer"})

    async def _push(self, request: web.Request, name: str) -> web.Response:
        reference = f"{name}:{request.query.get('tag') or 'latest'}"
        image = self._image(reference)
        self.registry[reference] = image.config
        digest = image.id
        return _lines({"status": "Pushed"}, {"aux": {"Tag": reference, "Digest": digest, "Size": 1}})

    async def _build(self, request: web.Request) -> web.Response:
        query = {key: request.query.getall(key) for key in request.query}
        self.builds.append((query, await request.read()))
        labels = json.loads(query.get("labels", ["{}"])[0] or "{}")
        image = None
        for tag in query.get("t", ["build:latest"]):
            image = self.add_image(tag, config={"Labels": labels, "n": len(self.builds)})
        return _lines({"stream": "Successfully built\n"}, {"aux": {"ID": image.id if image else ""}})

    async def _load(self, request: web.Request) -> web.Response:
        await request.read()
        return _lines({"stream": "Loaded image\n"})

    async def _image_list(self, request: web.Request) -> Any:
        filters = _filters(request)
        return [
            {
                "Id": image.id,
                "RepoTags": sorted(image.tags),
                "RepoDigests": sorted(image.digests),
                "Labels": image.config.get("Labels") or {},
                "Size": 1,
                "Created": 0,
            }
            for image in self.images.values()
            if _labels_match(image.config.get("Labels") or {}, filters.get("label", []))
            and (not filters.get("reference") or any(r in t for r in filters["reference"] for t in image.tags))
        ]

    async def _image_inspect(self, request: web.Request, name: str) -> Any:
        image = self._image(name)
        return {
            "Id": image.id,
            "RepoTags": sorted(image.tags),
            "RepoDigests": sorted(image.digests),
            "Config": {"Entrypoint": None, "Cmd": None, "Env": [], "Labels": {}, **image.config},
        }

    async def _image_history(self, request: web.Request, name: str) -> Any:
        return [{"Id": self._image(name).id, "Created": 0, "CreatedBy": "fake", "Tags": None, "Size": 0, "Comment": ""}]

    async def _image_get(self, request: web.Request, name: str) -> web.Response:
        return web.Response(body=self._image(name).id.encode(), content_type="application/x-tar")

    async def _image_tag(self, request: web.Request, name: str) -> web.Response:
        image, new = self._image(name), f"{request.query['repo']}:{request.query.get('tag') or 'latest'}"
        for other in self.images.values():
            other.tags.discard(new)
        image.tags.add(new)
        return web.Response(status=201)

    async def _image_remove(self, request: web.Request, name: str) -> Any:
        image = self._image(name)
        used = any(c.image is image for c in self.containers.values())
        if _tagged(name) in image.tags and len(image.tags) > 1:
            image.tags.discard(_tagged(name))
            return [{"Untagged": _tagged(name)}]
        if used:
            raise Refusal(409, f"conflict: unable to delete {name}: image is being used by a container")
        del self.images[image.id]
        return [{"Deleted": image.id}]

    # -- networks and volumes

    async def _network_create(self, request: web.Request) -> Any:
        document = await request.json()
        self.sent.append(("network_create", {}, document))
        if document["Name"] in self.networks:
            raise Refusal(409, f"network with name {document['Name']} already exists")
        network = self.add_network(document["Name"], document.get("Labels"))
        return _json({"Id": network["Id"], "Warning": ""}, status=201)

    def _network(self, name: str) -> dict[str, Any]:
        for network in self.networks.values():
            if name in (network["Name"], network["Id"]):
                return network
        raise Refusal(404, f"network {name} not found")

    async def _network_list(self, request: web.Request) -> Any:
        filters = _filters(request)
        return [
            network
            for network in self.networks.values()
            if _labels_match(network["Labels"], filters.get("label", []))
            and (not filters.get("name") or any(n in network["Name"] for n in filters["name"]))
        ]

    async def _network_inspect(self, request: web.Request, name: str) -> Any:
        network = self._network(name)
        members = {
            c.id: {"Name": c.name, "IPv4Address": f"{c.ip}/24"}
            for c in self.containers.values()
            if network["Name"] in c.networks and c.status == "running"
        }
        return {**network, "Containers": members}

    async def _network_connect(self, request: web.Request, name: str) -> web.Response:
        network, document = self._network(name), await request.json()
        self.sent.append(("network_connect", {}, document))
        endpoint = document.get("EndpointConfig") or {}
        self.container(document["Container"]).networks[network["Name"]] = endpoint
        return web.Response()

    async def _network_disconnect(self, request: web.Request, name: str) -> web.Response:
        network, document = self._network(name), await request.json()
        self.container(document["Container"]).networks.pop(network["Name"], None)
        return web.Response()

    async def _network_remove(self, request: web.Request, name: str) -> web.Response:
        network = self._network(name)
        if any(network["Name"] in c.networks and c.status == "running" for c in self.containers.values()):
            raise Refusal(403, f"error while removing network: network {name} has active endpoints")
        del self.networks[network["Name"]]
        return web.Response(status=204)

    async def _volume_create(self, request: web.Request) -> Any:
        document = await request.json()
        self.sent.append(("volume_create", {}, document))
        name = document.get("Name") or self._new_id()
        volume = {"Name": name, "Driver": "local", "Mountpoint": f"/fake/{name}", "Scope": "local", "Options": None}
        found = self.volumes.setdefault(name, {**volume, "Labels": document.get("Labels") or {}})
        return _json(found, status=201)

    def _volume(self, name: str) -> dict[str, Any]:
        if name not in self.volumes:
            raise Refusal(404, f"get {name}: no such volume")
        return self.volumes[name]

    async def _volume_list(self, request: web.Request) -> Any:
        label = _filters(request).get("label", [])
        return {"Volumes": [v for v in self.volumes.values() if _labels_match(v["Labels"], label)], "Warnings": None}

    async def _volume_inspect(self, request: web.Request, name: str) -> Any:
        return self._volume(name)

    async def _volume_remove(self, request: web.Request, name: str) -> web.Response:
        del self.volumes[self._volume(name)["Name"]]
        return web.Response(status=204)


_UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)

# One `*` takes one path segment, `**` one or more.
_ROUTES = [
    ("*", "_ping", "ping"),
    ("GET", "version", "version"),
    ("GET", "info", "info"),
    ("GET", "events", "events_stream"),
    ("POST", "containers/create", "create"),
    ("GET", "containers/json", "ps"),
    ("GET", "containers/*/json", "inspect"),
    ("POST", "containers/*/start", "start"),
    ("POST", "containers/*/stop", "stop"),
    ("POST", "containers/*/kill", "kill"),
    ("POST", "containers/*/restart", "restart"),
    ("POST", "containers/*/wait", "wait"),
    ("GET", "containers/*/logs", "logs"),
    ("POST", "containers/*/attach", "attach"),
    ("POST", "containers/*/exec", "exec_create"),
    ("POST", "exec/*/start", "exec_start"),
    ("GET", "exec/*/json", "exec_inspect"),
    ("PUT", "containers/*/archive", "put_archive"),
    ("GET", "containers/*/archive", "get_archive"),
    ("HEAD", "containers/*/archive", "get_archive"),
    ("DELETE", "containers/*", "remove"),
    ("POST", "images/create", "pull"),
    ("POST", "images/load", "load"),
    ("POST", "build", "build"),
    ("GET", "images/json", "image_list"),
    ("GET", "images/**/json", "image_inspect"),
    ("GET", "images/**/history", "image_history"),
    ("GET", "images/**/get", "image_get"),
    ("POST", "images/**/tag", "image_tag"),
    ("POST", "images/**/push", "push"),
    ("DELETE", "images/**", "image_remove"),
    ("POST", "networks/create", "network_create"),
    ("GET", "networks", "network_list"),
    ("GET", "networks/*", "network_inspect"),
    ("POST", "networks/*/connect", "network_connect"),
    ("POST", "networks/*/disconnect", "network_disconnect"),
    ("DELETE", "networks/*", "network_remove"),
    ("POST", "volumes/create", "volume_create"),
    ("GET", "volumes", "volume_list"),
    ("GET", "volumes/*", "volume_inspect"),
    ("DELETE", "volumes/*", "volume_remove"),
]


def _match(shape: str, parts: list[str]) -> list[str] | None:
    """The path segments that the shape's stars take."""
    pattern = shape.split("/")
    if "**" in pattern:
        at = pattern.index("**")
        end = len(parts) - (len(pattern) - at - 1)
        if end <= at:
            return None
        parts = [*parts[:at], "/".join(parts[at:end]), *parts[end:]]
        pattern[at] = "*"
    if len(pattern) != len(parts) or any(p not in ("*", part) for p, part in zip(pattern, parts, strict=True)):
        return None
    return [part for p, part in zip(pattern, parts, strict=True) if p == "*"]


async def _no_exec(container: FakeContainer, command: list[str], stdin: bytes) -> tuple[int, bytes]:
    return 0, b""


def _tagged(reference: str) -> str:
    if "@" in reference or reference.startswith("sha256:") or ":" in reference.rpartition("/")[2]:
        return reference
    return f"{reference}:latest"


def _filters(request: web.Request) -> dict[str, list[str]]:
    document = json.loads(request.query.get("filters") or "{}")
    return {key: list(values) for key, values in document.items()}


def _labels_match(labels: dict[str, str], wanted: list[str]) -> bool:
    pairs = (text.partition("=") for text in wanted)
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)


def _event_passes(event: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    return (
        (not filters.get("type") or event["Type"] in filters["type"])
        and (not filters.get("event") or event["Action"] in filters["event"])
        and _labels_match(event["Actor"]["Attributes"], filters.get("label", []))
    )


def _json(answer: Any, status: int = 200) -> web.Response:
    """The docker command takes errors for JSON only where nothing follows the type."""
    headers = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(answer).encode(), status=status, headers=headers)


def _lines(*documents: dict[str, Any]) -> web.Response:
    body = b"".join(json.dumps(document).encode() + b"\r\n" for document in documents)
    return web.Response(body=body, content_type="application/json")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
