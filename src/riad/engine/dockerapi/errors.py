"""One table from kinds of faults to HTTP status, and the middleware that answers every error as Docker does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from riad.engine.dockerapi.wire import STARTED, json_response
from riad.kernel import disk, logs
from riad.kernel.faults import Fault, Kind

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUS: dict[Kind, int] = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 400,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 501,
    Kind.EXHAUSTED: 500,
    Kind.INTERNAL: 500,
}

_log = logs.named("engine.api")


def error_response(status: int, message: str) -> web.Response:
    return json_response({"message": message}, status=status)


def answer(error: Exception) -> web.Response:
    """The response for what a handler raised. A defect is logged here, and nowhere else."""
    error = disk.refusal(error) or error
    if isinstance(error, Fault):
        return error_response(STATUS[error.kind], error.message)
    if isinstance(error, web.HTTPException):
        return error_response(error.status, error.text or error.reason)
    _log.error("request failed", exc_info=error)
    return error_response(500, f"riad: {type(error).__name__}: {error}")


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except asyncio.CancelledError:
        raise
    except ConnectionError:
        # The client has gone; there is nobody to answer.
        return web.Response(status=499)
    except Exception as error:
        if request.get(STARTED):
            raise  # headers are out: aiohttp closes the connection, which is all that can be said now
        return answer(error)
