"""Restart policies, pure: whether a container that ended is started again, and after how long."""

from __future__ import annotations

from riad.engine.containers.model import Container, RestartPolicy

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
LONG_ENOUGH = 10.0
"""Seconds of running after which the delays begin anew."""


ON_UNHEALTHY = "on-unhealthy"
LABEL = "riad.restart"
"""Set to `on-unhealthy`, it adds to any policy that the container is restarted when it becomes unhealthy."""


def restarts(
    policy: RestartPolicy, *, exit_code: int, count: int, stopped_by_user: bool, unhealthy: bool = False
) -> bool:
    """Whether the policy starts it again after an exit; `count` restarts have been made already.

    `unhealthy` says that it was ended because of that. `on-unhealthy` restarts after failures, too.
    """
    if stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    if policy.name in ("on-failure", ON_UNHEALTHY):
        return (exit_code != 0 or unhealthy) and (policy.maximum == 0 or count < policy.maximum)
    return unhealthy


def restarts_unhealthy(container: Container) -> bool:
    """Whether it is to be ended and started again when its health check fails."""
    policy = container.settings.host.restart
    wanted = policy.name == ON_UNHEALTHY or container.labels.get(LABEL) == ON_UNHEALTHY
    return wanted and (policy.maximum == 0 or container.restart_count < policy.maximum)


def delay(*, before: float, ran_for: float) -> float:
    """Seconds to wait: doubled from one quick end to the next, up to a minute. `before` is the last delay, 0 = none."""
    if before <= 0 or ran_for >= LONG_ENOUGH:
        return FIRST_DELAY
    return min(before * 2, LONGEST_DELAY)


def starts_with_engine(container: Container) -> bool:
    """Whether a container that rests is started with the engine. `always` means that, even if it was stopped."""
    policy = container.settings.host.restart.name
    return policy == "always" or (policy == "unless-stopped" and not container.stopped_by_user)
