"""Images: pull, push, tag, import, build, remove."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from riad.dockerclient.containers import Documents, Filters, filters_text, flag
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.progress import OnProgress, Progress, ProgressReader
from riad.dockerclient.transport import Body, Transport
from riad.kernel.faults import Kind


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """What the engine signs in to a registry with."""

    username: str
    password: str
    server: str = ""

    def header(self) -> str:
        document = {"username": self.username, "password": self.password, "serveraddress": self.server}
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


Results = list[Progress]

_NO_AUTH = base64.urlsafe_b64encode(b"{}").decode()


class Images:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def pull(
        self, reference: str, auth: RegistryAuth | None = None, on_progress: OnProgress | None = None
    ) -> None:
        """Fetches `NAME:TAG` or `NAME@DIGEST`. Raises NOT_FOUND, or INTERNAL with the engine's message."""
        name, tag = split_reference(reference)
        query = {"fromImage": name, "tag": tag or "latest"}
        await self._follow("POST", "/images/create", query=query, auth=auth, on_progress=on_progress)

    async def push(
        self, reference: str, auth: RegistryAuth | None = None, on_progress: OnProgress | None = None
    ) -> str:
        """Sends `NAME:TAG` to its registry; returns the manifest's digest ("" where the engine does not say)."""
        name, tag = split_reference(reference)
        path = f"/images/{_quoted(name)}/push"
        seen = await self._follow("POST", path, query={"tag": tag or "latest"}, auth=auth, on_progress=on_progress)
        return next((str(line.aux["Digest"]) for line in reversed(seen) if "Digest" in line.aux), "")

    async def import_(self, tar: Body, repository: str, tag: str, changes: Sequence[str] = ()) -> str:
        """Makes a one-layer image of a root file system; `changes` are Dockerfile lines. Returns the image id."""
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag), *(("changes", line) for line in changes)]
        path = "/images/create?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
        await self._follow("POST", path, body=tar)
        return str((await self.inspect(f"{repository}:{tag}"))["Id"])

    async def load(self, tar: Body, on_progress: OnProgress | None = None) -> None:
        """Takes images from a `docker save` archive."""
        await self._follow("POST", "/images/load", query={"quiet": "1"}, body=tar, on_progress=on_progress)

    async def build(
        self,
        context: Body | None,
        *,
        tags: Sequence[str] = (),
        dockerfile: str = "Dockerfile",
        arguments: Mapping[str, str | None] | None = None,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Builds a tar context with the classic builder; returns the image id. INTERNAL with the build's error.

        `options` are further parameters of the request; without a context they name a `remote` one.
        """
        query = [
            ("dockerfile", dockerfile),
            ("buildargs", json.dumps(dict(arguments or {}))),
            ("labels", json.dumps(dict(labels or {}))),
            *(("t", tag) for tag in tags),
            *(options or {}).items(),
        ]
        path = "/build?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
        seen = await self._follow("POST", path, body=context, on_progress=on_progress)
        return next((str(line.aux["ID"]) for line in reversed(seen) if "ID" in line.aux), "")

    async def inspect(self, image: str) -> dict[str, Any]:
        """By reference or id. Raises NOT_FOUND."""
        document: dict[str, Any] = await self._transport.json("GET", f"/images/{_quoted(image)}/json")
        return document

    async def list(self, *, filters: Filters | None = None) -> Documents:
        found: Documents = await self._transport.json("GET", "/images/json", query=filters_text(filters))
        return found

    async def tag(self, image: str, repository: str, tag: str) -> None:
        await self._transport.json("POST", f"/images/{_quoted(image)}/tag", query={"repo": repository, "tag": tag})

    async def remove(self, image: str, *, force: bool = False) -> None:
        """No error where it is gone; CONFLICT where a container uses it."""
        with faults_ignored(Kind.NOT_FOUND):
            await self._transport.json("DELETE", f"/images/{_quoted(image)}", query={"force": flag(force)})

    async def _follow(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        auth: RegistryAuth | None = None,
        on_progress: OnProgress | None = None,
    ) -> Results:
        """Reads a progress stream to its end; returns the lines that carry results."""
        headers = {"X-Registry-Auth": auth.header() if auth else _NO_AUTH}
        if body is not None:
            headers["Content-Type"] = "application/x-tar"
        results: Results = []
        reader = ProgressReader()

        def take(line: Progress) -> None:
            if line.aux:
                results.append(line)
            if on_progress is not None:
                on_progress(line)

        async with self._transport.answer(method, path, query=query, body=body, headers=headers) as response:
            async for data in response.content.iter_any():
                for line in reader.feed(data):
                    take(line)
        for line in reader.finish():
            take(line)
        return results


def split_reference(reference: str) -> tuple[str, str]:
    """`host:5000/name:tag` → (`host:5000/name`, `tag`); a digest counts as the tag; no tag is ""."""
    if "@" in reference:
        name, _, digest = reference.partition("@")
        return name, digest
    head, colon, tail = reference.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (reference, "")


def _quoted(image: str) -> str:
    return quote(image, safe="/:@.")
