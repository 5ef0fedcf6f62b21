"""The command's view of the server: its HTTP API with a token, nothing else.

RIAD_URL and RIAD_TOKEN name a Riad elsewhere; without them the one of this machine's home is used, with the token
that its server made for this command.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from riad.cli import home as homes
from riad.kernel.faults import Fault, Kind, invalid, unauthenticated, unavailable

_KINDS = {
    400: Kind.INVALID,
    403: Kind.DENIED,
    404: Kind.NOT_FOUND,
    409: Kind.CONFLICT,
    422: Kind.INVALID,
    501: Kind.UNSUPPORTED,
    503: Kind.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    token: str

    def get(self, path: str, **query: object) -> Any:
        return self.send("GET", path, query=query)

    def all(self, path: str, **query: object) -> Iterator[Any]:
        """Every item of a listing, page after page."""
        page = 1
        while True:
            items = self.get(path, page=page, per_page=100, **query)
            yield from items
            if len(items) < 100:
                return
            page += 1

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self.send("POST", path, body=body or {})

    def put(self, path: str, body: Mapping[str, object]) -> Any:
        return self.send("PUT", path, body=body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)

    def text(self, path: str, *, start: int = 0) -> bytes:
        """A text resource from byte `start` on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        return self._fetch("GET", path, None, headers)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        """The answer's JSON value, None for an empty answer. Raises the fault that the server's status stands for."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        if given:
            path += "?" + urllib.parse.urlencode(given, doseq=True)
        data = None if body is None else json.dumps(body).encode()
        answer = self._fetch(method, path, data, {"Content-Type": "application/json"} if data else {})
        return json.loads(answer) if answer else None

    def _fetch(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> bytes:
        url = self.url + path
        request = urllib.request.Request(url, data=data, method=method, headers=dict(headers))  # noqa: S310 -- scheme checked

        request.add_header("PRIVATE-TOKEN", self.token)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            if error.code == 416:
                return b""
            if error.code == 401:
                raise unauthenticated(
                    f"{self.url} does not take this token (revoked, expired or mistyped); "
                    "set RIAD_TOKEN to another, from your access tokens page or `riad token create`"
                ) from None
            raise Fault(_KINDS.get(error.code, Kind.INTERNAL), _message(error)) from None
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise unavailable(f"{self.url} does not answer ({reason}); is Riad up? `riad status`") from None


def connect(environ: Mapping[str, str] = os.environ) -> Api:
    """Raises UNAVAILABLE where no Riad was ever started here, UNAUTHENTICATED where its token is not readable."""
    home = homes.of(environ)
    url = (environ.get("RIAD_URL") or home.external_url).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise invalid(f"RIAD_URL: {url!r} is not an http:// or https:// address")
    token = environ.get("RIAD_TOKEN")
    if token:
        return Api(url, token)
    try:
        return Api(url, home.command_token.read_text().strip())
    except FileNotFoundError:
        raise unavailable("no Riad was started here; run `riad up`, or set RIAD_URL and RIAD_TOKEN") from None
    except PermissionError:
        raise unauthenticated(f"{home.command_token} is not yours to read; use sudo, or set RIAD_TOKEN") from None


def project_path(project: str) -> str:
    """The API's path of a project named GROUP/NAME or by number."""
    return f"/api/v4/projects/{urllib.parse.quote(project, safe='')}"


def _message(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()[:500] or f"HTTP {error.code}"
    message = found.get("message") or found.get("error") or found.get("detail") if isinstance(found, dict) else found
    if isinstance(message, dict):
        return "; ".join(
            f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
            for key, value in message.items()
        )
    return str(message).removeprefix(f"{error.code} ")  # GitLab's errors repeat the status
