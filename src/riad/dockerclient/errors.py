"""An engine's refusals as faults: HTTP status → kind, `{"message": …}` → message. Pure."""

from __future__ import annotations

import json
from types import TracebackType

from riad.kernel.faults import Fault, Kind

_KINDS = {
    400: Kind.INVALID,
    401: Kind.UNAUTHENTICATED,
    403: Kind.DENIED,
    404: Kind.NOT_FOUND,
    405: Kind.UNSUPPORTED,
    406: Kind.INVALID,
    409: Kind.CONFLICT,
    429: Kind.EXHAUSTED,
    501: Kind.UNSUPPORTED,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
}


class EngineAway(Fault):
    """UNAVAILABLE because no engine answered, or not to the end: what was asked may have happened or not.

    An engine that itself cannot reach something (a registry) answers so: that is a plain fault, also UNAVAILABLE.
    """

    def __init__(self, message: str) -> None:
        super().__init__(Kind.UNAVAILABLE, message)


def fault_of(status: int, body: bytes) -> Fault:
    """The fault for an answer with `status` ≥ 400; an unknown status is INTERNAL."""
    return Fault(_KINDS.get(status, Kind.INVALID if 400 <= status < 500 else Kind.INTERNAL), _message(status, body))


def _message(status: int, body: bytes) -> str:
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        said = body.decode(errors="replace").strip()[:500]
    return str(said) or f"the container engine answered with status {status}"


class faults_ignored:  # noqa: N801 -- used as a statement, like contextlib.suppress
    """Swallows faults of these kinds: what was to be done is done already, or there is nothing to do."""

    def __init__(self, *kinds: Kind) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, Fault) and error.kind in self._kinds
