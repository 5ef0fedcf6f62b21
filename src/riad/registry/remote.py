"""Another registry, spoken to from a thread: what copying to it and keeping a cache of it need, and no more.

Signs in as the challenge asks: Basic, or a token for the scope of each conversation (distribution's token
specification). Redirects to where a registry keeps its blobs are followed without our credentials.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from riad.kernel.faults import Fault, Kind, denied, invalid, not_found, unavailable
from riad.oci import media
from riad.oci.manifest import LARGEST_MANIFEST

_TIMEOUT = 60.0
_PARAMETER = re.compile(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"')
_ACCEPT = ", ".join(media.ACCEPTED_MANIFESTS)


@dataclass(frozen=True, slots=True)
class Account:
    username: str = ""
    password: str = ""

    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(slots=True)
class Remote:
    """One repository of a registry at `url` (http(s)://HOST[:PORT]). `actions` as in a token's scope."""

    url: str
    path: str
    account: Account = Account()
    actions: str = "pull"
    _authorization: str = field(default="", repr=False)

    def manifest(self, reference: str) -> tuple[bytes, str]:
        """Body and media type. Raises NOT_FOUND, DENIED, UNAVAILABLE."""
        with self._request("GET", f"manifests/{reference}", headers={"Accept": _ACCEPT}) as answer:
            body = answer.read(LARGEST_MANIFEST + 1)
            if len(body) > LARGEST_MANIFEST:
                raise invalid(f"{self} sent a manifest of more than {LARGEST_MANIFEST} bytes")
            return body, str(answer.headers.get("Content-Type", "")).partition(";")[0]

    def digest(self, reference: str) -> str | None:
        """What a tag stands for; None where the registry does not say."""
        with self._request("HEAD", f"manifests/{reference}", headers={"Accept": _ACCEPT}) as answer:
            found = answer.headers.get("Docker-Content-Digest")
            return str(found) if found else None

    def blob(self, digest: str) -> tuple[BinaryIO, int]:
        """The open content, and its length; close it."""
        answer = self._request("GET", f"blobs/{digest}")
        return answer, int(answer.headers.get("Content-Length") or -1)

    def blob_size(self, digest: str) -> int | None:
        try:
            with self._request("HEAD", f"blobs/{digest}") as answer:
                return int(answer.headers.get("Content-Length") or 0)
        except Fault as fault:
            if fault.kind is not Kind.NOT_FOUND:
                raise
            return None

    def send_blob(self, digest: str, content: BinaryIO, size: int) -> None:
        with self._request("POST", "blobs/uploads/", data=b"") as answer:
            location = urljoin(answer.url, answer.headers.get("Location", ""))
        joined = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self._request("PUT", joined, data=content, headers=headers).close()

    def send_manifest(self, reference: str, body: bytes, media_type: str) -> None:
        self._request("PUT", f"manifests/{reference}", data=body, headers={"Content-Type": media_type}).close()

    def __str__(self) -> str:
        return f"{urlsplit(self.url).netloc}/{self.path}"

    def _request(self, method: str, rest: str, *, data: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        url = rest if "://" in rest else f"{self.url}/v2/{self.path}/{rest}"
        for last in (False, True):
            request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)  # noqa: S310
            if self._authorization and urlsplit(url).netloc == urlsplit(self.url).netloc:
                # Not sent on to where a redirect leads.
                request.add_unredirected_header("Authorization", self._authorization)
            try:
                return _OPENER.open(request, timeout=_TIMEOUT)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code != 401 or last or not self._sign_in(error.headers):
                        raise self._refused(error) from None
            except (OSError, HTTPException) as error:
                raise unavailable(f"{self} does not answer: {getattr(error, 'reason', error)}") from None
        raise AssertionError("unreachable")

    def _sign_in(self, headers: Message) -> bool:
        scheme, _, rest = headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() == "basic" and self.account.username:
            self._authorization = self.account.basic()
            return True
        found = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or urlsplit(found.get("realm", "")).scheme not in ("http", "https"):
            return False
        query = {"service": found.get("service", ""), "scope": f"repository:{self.path}:{self.actions}"}
        request = urllib.request.Request(f"{found['realm']}?{urlencode(query)}")  # noqa: S310 -- checked above
        if self.account.username:
            request.add_unredirected_header("Authorization", self.account.basic())
        with _OPENER.open(request, timeout=_TIMEOUT) as answer:
            body = json.loads(answer.read(1 << 20))
        self._authorization = f"Bearer {body.get('token') or body.get('access_token')}"
        return True

    def _refused(self, error: urllib.error.HTTPError) -> Fault:
        message = f"{self}: {error.code} {_message(error.read(65536)) or error.reason}"
        if error.code == 404:
            return not_found(message)
        return denied(message) if error.code in (401, 403) else unavailable(message)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["errors"][0].get("message", ""))[:200]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


class _OnlyWeb(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_OnlyWeb)
