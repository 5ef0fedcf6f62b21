"""Faults as MLflow's error bodies: `{"error_code", "message"}`. Clients raise by the code."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from riad.kernel.faults import Fault, Kind

CODES = {
    Kind.NOT_FOUND: (404, "RESOURCE_DOES_NOT_EXIST"),
    Kind.CONFLICT: (400, "RESOURCE_ALREADY_EXISTS"),
    Kind.INVALID: (400, "INVALID_PARAMETER_VALUE"),
    Kind.DENIED: (403, "PERMISSION_DENIED"),
    Kind.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
    Kind.UNAVAILABLE: (503, "TEMPORARILY_UNAVAILABLE"),
    Kind.UNSUPPORTED: (501, "NOT_IMPLEMENTED"),
    Kind.EXHAUSTED: (507, "RESOURCE_EXHAUSTED"),
    Kind.INTERNAL: (500, "INTERNAL_ERROR"),
}


def answer(fault: Fault) -> Response:
    status, code = CODES[fault.kind]
    # Said even by a browser's standards: a client with a password in its address sends it only when it is asked.
    headers = {"WWW-Authenticate": 'Basic realm="Riad"'} if status == 401 else None
    body = orjson.dumps({"error_code": code, "message": fault.message})
    return Response(body, status, headers, "application/json")
