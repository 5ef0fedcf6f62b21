"""Faults as git shows them to its user: a text/plain body appears after `remote: `, except with a 401."""

from __future__ import annotations

from starlette.responses import PlainTextResponse

from riad.kernel.faults import Fault, Kind

STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 400,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 501,
    Kind.EXHAUSTED: 413,
    Kind.INTERNAL: 500,
}

NEVER_CACHED = {
    "Expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache, max-age=0, must-revalidate",
}


def answer(fault: Fault) -> PlainTextResponse:
    headers = dict(NEVER_CACHED)
    if fault.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Basic realm="Riad"'
    return PlainTextResponse(f"{fault.message}\n", status_code=STATUS[fault.kind], headers=headers)
