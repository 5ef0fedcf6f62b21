"""Faults as GitLab's clients expect them: one table from kind to status, one function to the body."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from riad.kernel.faults import Fault, Kind

STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 400,
    Kind.DENIED: 403,
    Kind.UNAUTHENTICATED: 401,
    Kind.UNAVAILABLE: 503,
    Kind.UNSUPPORTED: 501,
    Kind.EXHAUSTED: 429,
    Kind.INTERNAL: 500,
}


def answer(fault: Fault) -> JSONResponse:
    headers = {"WWW-Authenticate": 'Bearer realm="Riad"'} if fault.kind is Kind.UNAUTHENTICATED else {}
    return JSONResponse(body(fault), status_code=STATUS[fault.kind], headers=headers)


def body(fault: Fault) -> dict[str, object]:
    """`{"message": {"path": ["has already been taken"]}}` where findings name attributes, else `{"message": text}`.

    A parameter that is missing or out of shape is `{"error": "name is missing"}`, as GitLab has it.
    """
    if isinstance(fault, BadParameters):
        return {"error": fault.message}
    if fault.kind is Kind.UNAUTHENTICATED:
        return {"message": "401 Unauthorized"}
    if fault.kind is Kind.DENIED and not fault.message.startswith("403"):
        return {"message": f"403 Forbidden - {fault.message}"}
    if fault.kind is Kind.NOT_FOUND and not fault.message.startswith("404"):
        return {"message": f"404 {fault.message}"}
    if not fault.findings:
        return {"message": fault.message}
    attributes: dict[str, list[str]] = {}
    for finding in fault.findings:
        line = f"line {finding.line}: " if finding.line is not None else ""
        attributes.setdefault(finding.path or "base", []).append(line + finding.message)
    return {"message": attributes}


class BadParameters(Fault):
    """Parameters of a request that are missing, out of shape or not supported; all of them at once."""

    def __init__(self, *problems: str, kind: Kind = Kind.INVALID) -> None:
        super().__init__(kind, ", ".join(problems))
