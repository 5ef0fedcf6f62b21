"""What registries answer when they refuse, in the sentences that Docker shows for it."""

from __future__ import annotations

import json

from riad.kernel.faults import Fault, Kind
from riad.oci.reference import Reference

_KINDS = {
    400: Kind.INVALID,
    401: Kind.UNAUTHENTICATED,
    403: Kind.DENIED,
    404: Kind.NOT_FOUND,
    409: Kind.CONFLICT,
    429: Kind.EXHAUSTED,
}


# What a status means where the answer has no body, as to HEAD.
_BODILESS = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
}


class Refusal(Exception):  # noqa: N818 -- becomes the Fault that fits what was being done
    """A registry's error answer: HTTP status, the first error's code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        # distribution's errcode prints "manifest unknown: manifest unknown".
        return f"{self.code.replace('_', ' ').lower()}: {self.message}" if self.code else self.message

    def fault(self) -> Fault:
        return Fault(_KINDS.get(self.status, Kind.INTERNAL), str(self))


class Unreachable(Exception):  # noqa: N818
    """No registry answered at this place; the text says where and why."""


def refusal(status: int, reason: str, body: bytes) -> Refusal:
    try:
        first = json.loads(body)["errors"][0]
        return Refusal(status, str(first.get("code", "")), str(first.get("message") or reason))
    except (ValueError, LookupError, TypeError, AttributeError):
        if not body and status in _BODILESS:
            return Refusal(status, *_BODILESS[status])
        text = body.decode(errors="replace").strip()[:200]
        return Refusal(
            status, "", f"received unexpected HTTP status: {status} {reason}" + (f": {text}" if text else "")
        )


def pull_fault(error: Refusal, reference: Reference) -> Fault:
    """A refusal while pulling, as the docker client expects to read it."""
    code = error.code.upper()
    if code == "MANIFEST_UNKNOWN" or (not code and error.status == 404):
        return Fault(Kind.NOT_FOUND, f"manifest for {reference.familiar} not found: {error}")
    # A 401 must not reach the docker client: it would ask its user for a password and wait.
    if code in ("DENIED", "NAME_UNKNOWN", "UNAUTHORIZED") or error.status in (401, 403):
        return Fault(
            Kind.NOT_FOUND,
            f"pull access denied for {reference.familiar_repository}, repository does not exist or may require "
            f"'docker login': {error}",
        )
    return error.fault()
