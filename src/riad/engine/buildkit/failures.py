"""A failed build as BuildKit's clients show it: the message, and the lines of the Dockerfile that it is about.

The lines travel as a detail of the call's status, in JSON under the name by which clients know that kind of detail
(util/grpcerrors, solver/errdefs).
"""

from __future__ import annotations

import base64
import json

from riad.engine.build.contexts import Definition
from riad.engine.build.errors import lines_of
from riad.engine.buildkit.grpc import CallFailed, Code
from riad.engine.buildkit.messages.common import Any_
from riad.kernel.faults import Fault

_SOURCE = "github.com/moby/buildkit/errdefs.Source+json"


def failed(fault: Fault, definition: Definition | None) -> CallFailed:
    """The status for `fault`; clients put `failed to solve: ` before its message, and the code unless it is unknown."""
    message = getattr(fault, "bare", fault.message)
    lines = lines_of(fault)
    details = () if lines is None or definition is None else (_source(definition, *lines),)
    return CallFailed(Code.UNKNOWN, message, details)


def _source(definition: Definition, first: int, last: int) -> Any_:
    value = {
        "info": {"filename": definition.name, "data": base64.b64encode(definition.content).decode()},
        "ranges": [{"start": {"line": first}, "end": {"line": last}}],
    }
    return Any_(_SOURCE, json.dumps(value).encode())
