"""Restart policies, pure: whether a container that ended is started again, and after how long."""

from __future__ import annotations

from riad.engine.containers.model import Container, RestartPolicy

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
LONG_ENOUGH = 10.0
"""Seconds of running after which the delays begin anew."""


def restarts(policy: RestartPolicy, *, exit_code: int, count: int, stopped_by_user: bool) -> bool:
    """Whether the policy starts it again after an exit; `count` restarts have been made already."""
    if stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    return policy.name == "on-failure" and exit_code != 0 and (policy.maximum == 0 or count < policy.maximum)


def delay(*, before: float, ran_for: float) -> float:
    """Seconds to wait: doubled from one quick end to the next, up to a minute. `before` is the last delay, 0 = none."""
    if before <= 0 or ran_for >= LONG_ENOUGH:
        return FIRST_DELAY
    return min(before * 2, LONGEST_DELAY)


def starts_with_engine(container: Container) -> bool:
    """Whether a container at rest is started when the engine starts after a reboot of the host."""
    policy = container.settings.host.restart.name
    return policy == "always" or (policy == "unless-stopped" and not container.stopped_by_user)
