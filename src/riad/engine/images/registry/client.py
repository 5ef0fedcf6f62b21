"""One conversation with one registry: requests with sign-in on demand, manifests, blobs, uploads.

A request goes out without credentials first; a 401's challenge is met once (Basic, or a token for exactly the scope of
this conversation) and the request repeated, all later ones carry the answer. An insecure place is tried by plain HTTP
first, then by TLS with any certificate, and what worked is remembered for the conversation.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from riad.engine.images.registry.certificates import tls_context
from riad.engine.images.registry.credentials import Challenge, Credentials, parse_challenges
from riad.engine.images.registry.errors import Refusal, Unreachable, refusal
from riad.engine.images.registry.places import Place
from riad.engine.images.registry.retry import passes, pause
from riad.kernel.faults import Fault, Kind, invalid
from riad.oci import media
from riad.oci.digest import Digest, digest_of
from riad.oci.manifest import LARGEST_MANIFEST
from riad.oci.reference import is_repository_path

_CONNECT = 10.0
_SILENCE = 60.0  # seconds without a byte
_ATTEMPTS = 4
_AGENT = "riad"
_ACCEPT = ", ".join(media.ACCEPTED_MANIFESTS)


class Registry:
    """Use with `async with`. `actions` is `pull` or `pull,push`, the scope asked for; `offline` also asks for an
    identity token, found in `identity_token` once signed in.
    """

    def __init__(self, place: Place, credentials: Credentials, *, actions: str = "pull", offline: bool = False) -> None:
        self.place = place
        self._credentials = credentials
        self._scopes = [f"repository:{place.path}:{actions}"] if place.path else []
        self._authorization: str | None = None
        self._signing_in = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._settled = not place.insecure
        self._settling = asyncio.Lock()
        self._base = place.base
        self._offline = offline
        self.identity_token = ""
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> Registry:
        loopback = urlsplit(self._base).hostname in ("localhost", "127.0.0.1", "::1")
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
            headers={"User-Agent": _AGENT},
            auto_decompress=False,
            read_bufsize=1 << 20,
            trust_env=not loopback,  # proxies; never for this machine itself
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def also_read(self, path: str) -> None:
        """Widens the scope by another repository of this registry, for a mount."""
        scope = f"repository:{path}:pull"
        if is_repository_path(path) and scope not in self._scopes:
            self._scopes.append(scope)

    # Manifests

    async def manifest(self, reference: str) -> tuple[bytes, str, Digest]:
        """The bytes of a manifest by tag or digest, its content type and digest, verified. Raises Refusal."""
        async with self.request("GET", f"manifests/{reference}", headers={"Accept": _ACCEPT}) as answer:
            body = await _bounded(answer, LARGEST_MANIFEST)
            kind = answer.headers.get("Content-Type", "")
        found = digest_of(body)
        if ":" in reference and found != reference:
            raise invalid(f"manifest verification failed for digest {reference}: the registry sent {found}")
        return body, kind, found

    async def head_manifest(self, reference: str) -> tuple[str, str, int] | None:
        """(media type, digest, size) of a manifest, None where there is none."""
        try:
            async with self.request("HEAD", f"manifests/{reference}", headers={"Accept": _ACCEPT}) as answer:
                head = answer.headers
                return (
                    head.get("Content-Type", ""),
                    head.get("Docker-Content-Digest", ""),
                    int(answer.content_length or 0),
                )
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    async def put_manifest(self, reference: str, body: bytes, media_type: str) -> None:
        async with self.request(
            "PUT", f"manifests/{reference}", data=lambda: body, headers={"Content-Type": media_type}
        ):
            pass

    async def tags(self) -> list[str]:
        """All tags of the repository, over as many pages as there are."""
        return await self._pages(f"{await self._settle()}/v2/{self.place.path}/tags/list", "tags")

    async def repositories(self) -> list[str]:
        """All names in the registry's catalogue that this user may see."""
        self._scopes = ["registry:catalog:*"]
        return await self._pages(f"{await self._settle()}/v2/_catalog", "repositories")

    async def _pages(self, url: str, member: str) -> list[str]:
        found: list[str] = []
        rest = f"{url}?n=1000"
        while rest:
            async with self.request("GET", rest) as answer:
                page = json.loads(await _bounded(answer, LARGEST_MANIFEST))
                more = answer.links.get("next")
            found += page.get(member) or []
            rest = f"{url}?{urlsplit(str(more['url'])).query}" if more else ""
        return found

    # Blobs

    async def blob(self, digest: Digest, *, limit: int) -> bytes:
        """A small blob, verified."""
        async with self.request("GET", f"blobs/{digest}") as answer:
            body = await _bounded(answer, limit)
        state = digest.hasher()
        state.update(body)
        if state.hexdigest() != digest.hex:
            raise invalid(f"the registry sent other content for {digest}")
        return body

    @asynccontextmanager
    async def blob_stream(self, digest: Digest, *, offset: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer for a blob; with `offset`, status 206 where the registry continues from there, else 200."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self.request("GET", f"blobs/{digest}", headers=headers) as answer:
            yield answer

    async def has_blob(self, digest: Digest) -> bool:
        try:
            async with self.request("HEAD", f"blobs/{digest}"):
                return True
        except Refusal as error:
            if error.status == 404:
                return False
            raise

    async def begin_upload(self, *, mount: Digest | None = None, source: str = "") -> str | None:
        """The URL to send a blob to; None where the blob was mounted from the repository `source` instead."""
        rest = f"blobs/uploads/?mount={mount}&from={source}" if mount else "blobs/uploads/"
        async with self.request("POST", rest, headers={"Content-Length": "0"}) as answer:
            if answer.status == 201:
                return None
            location = answer.headers.get("Location", "")
            return str(answer.url.join(URL(location, encoded=True)) if location else answer.url)

    async def finish_upload(self, url: str, digest: Digest, body: Callable[[], object], *, size: int) -> None:
        """Sends a whole blob; `body` is called again where the request has to be repeated."""
        joined = f"{url}{'&' if '?' in url else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        async with self.request("PUT", joined, data=body, headers=headers):
            pass

    # Requests

    @asynccontextmanager
    async def request(
        self,
        method: str,
        rest: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Callable[[], object] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer to a request for `rest` below the repository, or for a full URL.

        Raises Refusal for an error answer, Unreachable where nothing answers.
        """
        await self._settle()
        url = rest if "://" in rest else f"{self._base}/v2/{self.place.path}/{rest}"
        answer = await self._signed_in(method, url, headers or {}, data)
        attempt = 0
        while method in ("GET", "HEAD") and passes(answer.status) and (attempt := attempt + 1) < _ATTEMPTS:
            answer.release()
            await asyncio.sleep(pause(attempt))
            answer = await self._signed_in(method, url, headers or {}, data)
        try:
            async with answer:
                if answer.status >= 400:
                    raise refusal(answer.status, answer.reason or "", await answer.content.read(65536))
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{self.place.host}: {_reason(error)}") from error

    async def ping(self) -> None:
        """Signs in at `/v2/`. Raises Refusal, Unreachable."""
        async with self.request("GET", f"{await self._settle()}/v2/"):
            pass

    async def _signed_in(
        self, method: str, url: str, headers: Mapping[str, str], data: Callable[[], object] | None
    ) -> aiohttp.ClientResponse:
        try:
            answer = await self._send(method, url, headers, data)
            if answer.status == 401 and await self._sign_in(answer):
                answer.release()
                answer = await self._send(method, url, headers, data)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{self.place.host}: {_reason(error)}") from error
        return answer

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: Callable[[], object] | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None
        sent = dict(headers)
        # Where a registry keeps its blobs elsewhere, its redirect must not take our secrets along: aiohttp drops the
        # header when the origin changes.
        if self._authorization and urlsplit(url).netloc == urlsplit(self._base).netloc:
            sent["Authorization"] = self._authorization
        body = data() if data is not None else None
        return await self._session.request(method, url, headers=sent, data=body, ssl=self._tls(url))

    def _tls(self, url: str) -> ssl.SSLContext | bool:
        if not url.startswith("https"):
            return True  # reading the host's authorities takes longer than a small push
        if self._context is None:
            self._context = tls_context(self.place.certificates, self.place.host, insecure=self.place.insecure)
        return self._context

    async def _settle(self) -> str:
        """Finds out whether an insecure place speaks HTTP or TLS; returns the base URL."""
        if self._settled:
            return self._base
        async with self._settling:
            if not self._settled:
                self._base = await self._first_that_speaks()
                self._settled = True
        return self._base

    async def _first_that_speaks(self) -> str:
        host, failure = urlsplit(self._base).netloc, ""
        for base in (f"http://{host}", f"https://{host}"):
            try:
                answer = await self._send("GET", f"{base}/v2/", {}, None)
                answer.release()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = failure or _reason(error)
                continue
            # A TLS server answers plain HTTP with 400; a registry never does at this path.
            if answer.status != 400:
                return base
        raise Unreachable(f"{host}: {failure or 'no registry answers there'}")

    async def _sign_in(self, answer: aiohttp.ClientResponse) -> bool:
        """Meets the challenge of a 401. False where there is nothing (more) to try."""
        before = answer.request_info.headers.get("Authorization")
        async with self._signing_in:
            if self._authorization != before:
                return True  # another request has signed in meanwhile
            for challenge in parse_challenges(", ".join(answer.headers.getall("WWW-Authenticate", []))):
                found = await self._answer_to(challenge)
                if found and found != before:
                    self._authorization = found
                    return True
        return False

    async def _answer_to(self, challenge: Challenge) -> str | None:
        if challenge.scheme == "basic":
            return self._credentials.basic() if self._credentials.username else None
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        return f"Bearer {await self._token(challenge)}"

    async def _token(self, challenge: Challenge) -> str:
        assert self._session is not None
        credentials = self._credentials
        parameters: list[tuple[str, str]] = [("service", challenge.service)] if challenge.service else []
        if credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": _AGENT,
                "scope": " ".join(self._scopes),
                **dict(parameters),
            }
            request = self._session.post(challenge.realm, data=form, ssl=self._tls(challenge.realm))
        else:
            parameters += [("scope", scope) for scope in self._scopes]
            headers = {}
            if self._offline:
                parameters += [("offline_token", "true"), ("client_id", _AGENT)]
            if credentials.username:
                parameters.append(("account", credentials.username))
                headers["Authorization"] = credentials.basic()
            request = self._session.get(
                challenge.realm, params=parameters, headers=headers, ssl=self._tls(challenge.realm)
            )
        async with request as answer:
            body = await _bounded(answer, 1 << 20)
            if answer.status >= 400:
                raise refusal(answer.status, answer.reason or "", body)
        token, refresh = _token_of(body, challenge.realm)
        self.identity_token = refresh
        return token


def _token_of(body: bytes, realm: str) -> tuple[str, str]:
    """The token, and the identity token where there is one."""
    try:
        found: dict[str, Any] = json.loads(body)
        token = found.get("token") or found["access_token"]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Fault(Kind.INTERNAL, f"{realm} answered without a token") from None
    return str(token), str(found.get("refresh_token") or "")


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    gathered = bytearray()
    async for piece in answer.content.iter_any():
        gathered += piece
        if len(gathered) > limit:
            raise invalid(f"{answer.url.host} sent more than the {limit} bytes that are sensible here")
    return bytes(gathered)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)  # its own words name objects of this program
    return str(error) or type(error).__name__
