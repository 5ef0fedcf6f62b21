"""Containers: create, run, watch, copy in and out."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.frames import Demultiplexer, LogChunk
from riad.dockerclient.hijack import Hijacked, hijacked
from riad.dockerclient.transport import SHORT, Body, Transport
from riad.kernel.faults import Fault, Kind

Filters = Mapping[str, Sequence[str]]
Documents = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PathStat:
    """What a path inside a container is; `mode` is Go's os.FileMode (directory: bit 31, symbolic link: bit 27)."""

    name: str
    size: int
    mode: int
    link_target: str

    @property
    def is_directory(self) -> bool:
        return bool(self.mode & 1 << 31)


def flag(value: bool) -> str:
    return "1" if value else "0"


def filters_text(filters: Filters | None) -> dict[str, str]:
    """The `filters` query parameter; empty where there is nothing to filter."""
    return {"filters": json.dumps({key: list(values) for key, values in filters.items()})} if filters else {}


class Containers:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, spec: Mapping[str, Any], name: str | None = None) -> str:
        """Makes a container of the API's create document; returns its id. CONFLICT where the name is taken."""
        query = {"name": name} if name else {}
        made = await self._transport.json("POST", "/containers/create", query=query, document=dict(spec), timeout=120)
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """No error where it runs already."""
        await self._transport.json("POST", f"/containers/{container}/start", timeout=120)

    async def stop(self, container: str, timeout: int = 10) -> None:
        """Asks it to end, kills it after `timeout` seconds; no error where it has stopped already."""
        query = {"t": str(timeout)}
        await self._transport.json("POST", f"/containers/{container}/stop", query=query, timeout=timeout + SHORT)

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        await self._transport.json("POST", f"/containers/{container}/kill", query={"signal": signal})

    async def restart(self, container: str, timeout: int = 10) -> None:
        query = {"t": str(timeout)}
        await self._transport.json("POST", f"/containers/{container}/restart", query=query, timeout=timeout + SHORT)

    async def remove(self, container: str, *, force: bool = False, volumes: bool = True) -> None:
        """Removes it, with its anonymous volumes; no error where it is gone."""
        query = {"force": flag(force), "v": flag(volumes)}
        with faults_ignored(Kind.NOT_FOUND):
            await self._transport.json("DELETE", f"/containers/{container}", query=query)

    async def inspect(self, container: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._transport.json("GET", f"/containers/{container}/json")
        return document

    async def list(self, *, stopped: bool = False, filters: Filters | None = None) -> Documents:
        """Running ones; with `stopped` every one."""
        query = {"all": flag(stopped), **filters_text(filters)}
        found: Documents = await self._transport.json("GET", "/containers/json", query=query)
        return found

    async def wait(self, container: str, condition: str = "not-running") -> int:
        """Waits, without a deadline of its own, until it has ended; returns the exit code."""
        query = {"condition": condition}
        answer = await self._transport.json("POST", f"/containers/{container}/wait", query=query, timeout=None)
        if answer is None:
            raise self._transport.lost("it went away while a container was waited for")
        if answer.get("Error"):
            raise Fault(Kind.INTERNAL, f"waiting for container {container}: {answer['Error'].get('Message')}")
        return int(answer["StatusCode"])

    async def logs(
        self,
        container: str,
        *,
        follow: bool = False,
        since: str | None = None,
        timestamps: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
    ) -> AsyncIterator[LogChunk]:
        """What it wrote, from the beginning; with `follow` until it ends. `since` is RFC 3339 or Unix seconds."""
        query = {
            "follow": flag(follow),
            "timestamps": flag(timestamps),
            "stdout": flag(stdout),
            "stderr": flag(stderr),
            "tail": "all" if tail is None else str(tail),
            **({"since": since} if since is not None else {}),
        }
        framed = not (await self.inspect(container))["Config"].get("Tty", False)
        demultiplexer = Demultiplexer(framed=framed)
        path = f"/containers/{container}/logs"
        async with self._transport.answer("GET", path, query=query) as response:
            async for data in response.content.iter_any():
                for chunk in demultiplexer.feed(data):
                    yield chunk

    def attach(
        self, container: str, *, stdin: bool = False, stdout: bool = True, stderr: bool = True, tty: bool = False
    ) -> AbstractAsyncContextManager[Hijacked]:
        """Its streams, live from now on. `tty` says whether the container has a terminal (then nothing is framed)."""
        query = {"stream": "1", "stdin": flag(stdin), "stdout": flag(stdout), "stderr": flag(stderr)}
        return hijacked(self._transport, f"/containers/{container}/attach?{urlencode(query)}", tty=tty)

    async def exec_run(
        self,
        container: str,
        command: Sequence[str],
        *,
        stdin: bytes | None = None,
        environ: Mapping[str, str] | None = None,
        user: str = "",
        workdir: str = "",
    ) -> tuple[int, bytes]:
        """Runs a command inside to its end; returns exit code and what it wrote, stdout and stderr in order."""
        made = await self._transport.json(
            "POST",
            f"/containers/{container}/exec",
            document={
                "Cmd": list(command),
                "AttachStdin": stdin is not None,
                "AttachStdout": True,
                "AttachStderr": True,
                "Env": [f"{name}={value}" for name, value in (environ or {}).items()],
                "User": user,
                "WorkingDir": workdir,
            },
        )
        written = bytearray()
        start = {"Detach": False, "Tty": False}
        async with hijacked(self._transport, f"/exec/{made['Id']}/start", document=start) as stream:
            if stdin is not None:
                await stream.write(stdin)
                stream.write_eof()
            async for chunk in stream.chunks():
                written += chunk.data
        ended = await self.exec_inspect(str(made["Id"]))
        return int(ended["ExitCode"] if ended.get("ExitCode") is not None else -1), bytes(written)

    async def exec_inspect(self, execution: str) -> dict[str, Any]:
        """What became of a command that was run inside: `ExitCode`, `Running`, `ContainerID`."""
        document: dict[str, Any] = await self._transport.json("GET", f"/exec/{execution}/json")
        return document

    async def put_archive(self, container: str, path: str, tar: Body) -> None:
        """Unpacks a tar (plain or compressed) into the existing directory `path`; works on stopped containers."""
        async with self._transport.answer(
            "PUT",
            f"/containers/{container}/archive",
            query={"path": path},
            body=tar,
            headers={"Content-Type": "application/x-tar"},
        ) as response:
            await response.read()

    async def get_archive(self, container: str, path: str) -> AsyncIterator[bytes]:
        """The tar of a path, rooted at its last name (`DIR/.`: its contents). NOT_FOUND at the first step."""
        async with self._transport.answer(
            "GET", f"/containers/{container}/archive", query={"path": path}, headers={"Accept-Encoding": "identity"}
        ) as response:
            async for data in response.content.iter_any():
                yield data

    async def stat(self, container: str, path: str) -> PathStat:
        """What `path` is. Raises NOT_FOUND."""
        async with self._transport.answer(
            "HEAD", f"/containers/{container}/archive", query={"path": path}, timeout=SHORT
        ) as response:
            header = response.headers.get("X-Docker-Container-Path-Stat", "")
        document = json.loads(base64.b64decode(header))
        return PathStat(
            name=document["name"],
            size=document["size"],
            mode=document["mode"],
            link_target=document.get("linkTarget", ""),
        )
