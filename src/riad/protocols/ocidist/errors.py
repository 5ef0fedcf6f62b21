"""Faults as the specification's error bodies: `{"errors": [{"code", "message", "detail"}]}`."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from riad.kernel.faults import Fault, Kind
from riad.registry.faults import Reason, Refusal

STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 400,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 405,
    Kind.EXHAUSTED: 507,
    Kind.INTERNAL: 500,
}
CODE = {
    Kind.NOT_FOUND: "NAME_UNKNOWN",
    Kind.CONFLICT: "DENIED",
    Kind.INVALID: "UNSUPPORTED",
    Kind.DENIED: "DENIED",
    Kind.UNAUTHENTICATED: "UNAUTHORIZED",
    Kind.UNAVAILABLE: "UNKNOWN",
    Kind.UNSUPPORTED: "UNSUPPORTED",
    Kind.EXHAUSTED: "TOOMANYREQUESTS",
    Kind.INTERNAL: "UNKNOWN",
}
REASONS = {
    # Where the specification has no code of its own, the one its clients print best.
    Reason.RANGE_INVALID: (416, "BLOB_UPLOAD_INVALID"),
    Reason.TOO_LARGE: (413, "SIZE_INVALID"),
    Reason.QUOTA_EXCEEDED: (403, "DENIED"),
    Reason.IN_USE: (409, "DENIED"),
    Reason.MANIFEST_BLOB_UNKNOWN: (404, "MANIFEST_BLOB_UNKNOWN"),
    Reason.UNSUPPORTED: (415, "UNSUPPORTED"),
}


class Challenged(Refusal):
    """Unauthenticated, with the WWW-Authenticate header that tells a client how to go on."""

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(Reason.UNAUTHORIZED, message)
        self.challenge = challenge


def render(fault: Fault) -> Response:
    status, code = STATUS[fault.kind], CODE[fault.kind]
    detail = None
    if isinstance(fault, Refusal):
        status, code = REASONS.get(fault.reason, (status, fault.reason.name))
        detail = fault.detail
    headers = {"WWW-Authenticate": fault.challenge} if isinstance(fault, Challenged) else None
    body = {"errors": [{"code": code, "message": fault.message, "detail": detail}]}
    return Response(json.dumps(body), status, headers, "application/json")


class RegistryRoute(APIRoute):
    """A route whose faults answer in the specification's shape, and whose answers carry the API's version."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response = await handle(request)
            except Fault as fault:
                response = render(fault)
            except ClientDisconnect:
                response = Response(status_code=499)  # nobody is there to read it
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                response = render(Fault(Kind.EXHAUSTED, "the registry's disk is full; free some space and push again"))
            response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
            return response

        return answered
