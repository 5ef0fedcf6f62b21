"""How much a request may send before anybody has looked at it.

Form and JSON bodies are read into memory as a whole, also from callers that turn out to be nobody. So they are bounded
here, for every face at once. Pushes of git and of images are streams that are authorised before they are read: those
have their own bounds.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 32 * 1024 * 1024
_TOO_LARGE = f"the request's body is larger than {LARGEST_BODY // 2**20} MiB; push large files with git\n"


def is_stream(path: str) -> bool:
    return path.startswith("/v2/") or path.endswith(("/git-receive-pack", "/git-upload-pack"))


class BodyLimit:
    """ASGI middleware: 413 for a body above LARGEST_BODY, told in advance or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_stream(scope["path"]):
            await self._app(scope, receive, send)
        elif _announced(scope) > LARGEST_BODY:
            await PlainTextResponse(_TOO_LARGE, status_code=413, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, _counted(receive), send)


def _announced(scope: Scope) -> int:
    """Content-Length; 0 where there is none. The HTTP parser has refused what is no number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _counted(receive: Receive) -> Receive:
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(413, _TOO_LARGE.strip())
        return message

    return counting
