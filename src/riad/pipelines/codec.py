"""Plans as JSON and back."""

from __future__ import annotations

from typing import Any, cast

from pydantic import TypeAdapter

from riad.pipelines.language.plan import JobPlan

_jobs = TypeAdapter(JobPlan)


def to_json(plan: JobPlan) -> dict[str, Any]:
    return cast(dict[str, Any], _jobs.dump_python(plan, mode="json"))


def from_json(document: dict[str, Any]) -> JobPlan:
    return _jobs.validate_python(document)
