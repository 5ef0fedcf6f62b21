"""`RestartPolicy`."""

from __future__ import annotations

from riad.engine.containers.model import RestartPolicy
from riad.engine.containers.restart import ON_UNHEALTHY
from riad.engine.dockerapi.create_body.fields import AT, Json
from riad.kernel.faults import invalid
from riad.oci.fields import field

FIELDS = frozenset(["RestartPolicy"])


def read_restart(body: Json) -> RestartPolicy:
    """Raises INVALID with Docker's sentences."""
    name = field(body, "Name", str, "", at=AT + "RestartPolicy/") or "no"
    maximum = field(body, "MaximumRetryCount", int, 0, at=AT + "RestartPolicy/")
    if name not in ("no", "always", "unless-stopped", "on-failure", ON_UNHEALTHY):
        raise invalid(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', 'on-unhealthy', or 'unless-stopped'"
        )
    if maximum and name not in ("on-failure", ON_UNHEALTHY):
        raise invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if maximum < 0:
        raise invalid("invalid restart policy: maximum retry count cannot be negative")
    return RestartPolicy(name, maximum)
