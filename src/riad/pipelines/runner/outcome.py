"""How a job's run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riad.pipelines.status import FailureReason, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """`lost`: the box went away through no fault of the job, so it may be tried again."""

    status: Status
    reason: FailureReason | None = None
    message: str | None = None
    exit_code: int | None = None
    lost: bool = False

    @staticmethod
    def of_script(code: int) -> Outcome:
        if code == 0:
            return Outcome(Status.SUCCESS, exit_code=0)
        return Outcome(Status.FAILED, FailureReason.SCRIPT, f"exit code {code}", code)

    @staticmethod
    def canceled() -> Outcome:
        return Outcome(Status.CANCELED)

    @staticmethod
    def overdue(timeout: int) -> Outcome:
        message = f"it ran longer than its timeout of {timeout} s; give it more with `timeout`"
        return Outcome(Status.FAILED, FailureReason.TIMEOUT, message)

    @staticmethod
    def system(message: str, *, lost: bool = False) -> Outcome:
        return Outcome(Status.FAILED, FailureReason.SYSTEM, message, lost=lost)

    @staticmethod
    def of(document: Mapping[str, Any] | None) -> Outcome | None:
        if document is None:
            return None
        reason = document.get("reason")
        return Outcome(
            Status(document["status"]),
            FailureReason(reason) if reason else None,
            document.get("message"),
            document.get("exit_code"),
        )

    def as_json(self) -> dict[str, Any]:
        return {"status": self.status, "reason": self.reason, "message": self.message, "exit_code": self.exit_code}
