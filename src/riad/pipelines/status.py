"""The life of jobs and pipelines, in GitLab's words, as a table. One function changes a state; the rest is refused."""

from __future__ import annotations

import enum

from riad.kernel.faults import conflict


class Status(enum.StrEnum):
    CREATED = "created"
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELING = "canceling"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    MANUAL = "manual"
    SCHEDULED = "scheduled"


class FailureReason(enum.StrEnum):
    SCRIPT = "script_failure"
    SYSTEM = "runner_system_failure"
    TIMEOUT = "job_execution_timeout"
    IMAGE_PULL = "image_pull_failure"
    STUCK = "stuck_or_timeout_failure"
    UNSUPPORTED = "runner_unsupported"
    MISSING_DEPENDENCY = "missing_dependency_failure"


COMPLETED = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED, Status.SKIPPED})
ACTIVE = frozenset({Status.PENDING, Status.RUNNING, Status.CANCELING})
CANCELABLE = frozenset({Status.CREATED, Status.PENDING, Status.RUNNING, Status.SCHEDULED})
RETRYABLE = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED})

_NEXT: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.PENDING, Status.SKIPPED, Status.MANUAL, Status.SCHEDULED, Status.CANCELED}),
    Status.MANUAL: frozenset({Status.PENDING, Status.CREATED, Status.CANCELED, Status.SKIPPED}),
    Status.SCHEDULED: frozenset({Status.PENDING, Status.CANCELED}),
    Status.PENDING: frozenset({Status.RUNNING, Status.CANCELED, Status.FAILED}),
    Status.RUNNING: frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELING, Status.CANCELED}),
    Status.CANCELING: frozenset({Status.CANCELED, Status.FAILED}),
    Status.SKIPPED: frozenset({Status.CREATED}),
    Status.SUCCESS: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}


def check(current: Status, wanted: Status, what: str) -> Status:
    """`wanted`, if a job may go there from `current`; else a CONFLICT that changes nothing."""
    if wanted not in _NEXT[current]:
        raise conflict(f"{what} is {current}, it cannot become {wanted}")
    return wanted
