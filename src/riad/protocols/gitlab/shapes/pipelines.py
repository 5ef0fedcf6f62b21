"""Pipelines, jobs, test reports, CI/CD variables and lint answers in GitLab's shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from riad.pipelines.language.plan import JobPlan
from riad.pipelines.service import Lint
from riad.pipelines.show import CaseView, JobView, PipelineView, SuiteView, TestReport
from riad.pipelines.status import Status
from riad.pipelines.store import VariableRow
from riad.protocols.gitlab.shapes.moments import moment

Shape = dict[str, Any]


def brief(view: PipelineView, project_url: str) -> Shape:
    """As in lists, and inside jobs."""
    return {
        "id": view.id,
        "iid": view.iid,
        "project_id": view.project_id,
        "sha": view.sha,
        "ref": view.ref,
        "status": str(view.status),
        "source": view.source,
        "created_at": moment(view.created_at),
        "updated_at": moment(view.updated_at),
        "web_url": f"{project_url}/-/pipelines/{view.id}",
        "name": view.name,
    }


def full(view: PipelineView, project_url: str, user: Shape | None) -> Shape:
    url = f"{project_url}/-/pipelines/{view.id}"
    return brief(view, project_url) | {
        "before_sha": view.before_sha,
        "tag": view.is_tag,
        "yaml_errors": view.yaml_errors,
        "user": user,
        "started_at": moment(view.started_at),
        "finished_at": moment(view.finished_at),
        "committed_at": None,
        "duration": _whole(view.duration),
        "queued_duration": _between(view.created_at, view.started_at),
        "coverage": _percent(view.coverage),
        "detailed_status": _detailed(view, url),
    }


def _detailed(view: PipelineView, url: str) -> Shape:
    warned = view.status is Status.SUCCESS and view.warnings
    return {
        "icon": f"status_{'warning' if warned else view.status}",
        "text": "Warning" if warned else str(view.status).capitalize(),
        "label": "passed with warnings" if warned else _label(view.status),
        "group": "success-with-warnings" if warned else str(view.status),
        "tooltip": _label(view.status),
        "has_details": True,
        "details_path": url,
        "illustration": None,
        "favicon": None,
    }


def _label(status: Status) -> str:
    return "passed" if status is Status.SUCCESS else str(status)


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _between(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - start).total_seconds()


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def job(view: JobView, pipeline: PipelineView, project_url: str, user: Shape | None, stuck: str | None) -> Shape:
    archive = next((a for a in view.artifacts if a.kind == "archive"), None)
    trace = [] if view.started_at is None or view.erased_at else [_file("trace", "job.log", 0, "raw")]
    return {
        "id": view.id,
        "status": str(view.status),
        "stage": view.stage,
        "name": view.name,
        "ref": pipeline.ref,
        "tag": pipeline.is_tag,
        "coverage": view.coverage,
        "allow_failure": view.allow_failure,
        "created_at": moment(view.created_at),
        "started_at": moment(view.started_at),
        "finished_at": moment(view.finished_at),
        "erased_at": moment(view.erased_at),
        "duration": view.duration,
        "queued_duration": view.queued,
        "failure_reason": view.failure_reason,
        "failure_message": view.failure_message or stuck,
        "exit_code": view.exit_code,
        "user": user,
        "commit": {"id": pipeline.sha, "short_id": pipeline.sha[:8]},
        "pipeline": brief(pipeline, project_url),
        "project": {"ci_job_token_scope_enabled": False},
        "web_url": f"{project_url}/-/jobs/{view.id}",
        "tag_list": list(view.tags),
        "runner": None,
        "runner_manager": None,
        "archived": False,
        "artifacts": [_file(a.kind, a.filename, a.size, "zip") for a in view.artifacts] + trace,
        "artifacts_expire_at": moment(archive.expire_at) if archive else None,
        **({"artifacts_file": {"filename": archive.filename, "size": archive.size}} if archive else {}),
    }


def _file(kind: str, name: str, size: int, form: str) -> Shape:
    return {"file_type": kind, "size": size, "filename": name, "file_format": form}


def test_report(report: TestReport) -> Shape:
    return {
        "total_time": report.seconds,
        "total_count": report.total,
        **_counts(report),
        "test_suites": [_suite(suite) for suite in report.suites],
    }


def test_report_summary(report: TestReport) -> Shape:
    total = {"time": report.seconds, "count": report.total, **_summary_counts(report), "suite_error": None}
    suites = [
        {
            "name": suite.name,
            "total_time": suite.seconds,
            "total_count": len(suite.cases),
            **_counts(suite),
            "build_ids": [suite.job_id],
            "suite_error": None,
        }
        for suite in report.suites
    ]
    return {"total": total, "test_suites": suites}


def _summary_counts(of: TestReport) -> Shape:
    return {status: of.count(status) for status in ("success", "failed", "skipped", "error")}


def _counts(of: TestReport | SuiteView) -> Shape:
    return {f"{status}_count": of.count(status) for status in ("success", "failed", "skipped", "error")}


def _suite(suite: SuiteView) -> Shape:
    return {
        "name": suite.name,
        "total_time": suite.seconds,
        "total_count": len(suite.cases),
        **_counts(suite),
        "suite_error": None,
        "test_cases": [_case(case) for case in suite.cases],
    }


def _case(case: CaseView) -> Shape:
    return {
        "status": case.status,
        "name": case.name,
        "classname": case.classname,
        "file": case.file,
        "execution_time": case.seconds,
        "system_output": case.output,
        "stack_trace": None,
        "recent_failures": None,
        "attachment_url": None,
    }


def variable(row: VariableRow) -> Shape:
    return {
        "variable_type": row.variable_type,
        "key": row.key,
        "value": row.value,
        "hidden": False,
        "protected": row.protected,
        "masked": row.masked,
        "raw": row.raw,
        "environment_scope": row.environment_scope,
        "description": row.description,
    }


def lint(found: Lint, *, with_jobs: bool) -> Shape:
    shape: Shape = {
        "valid": found.valid,
        "errors": list(found.errors),
        "warnings": list(found.warnings),
        "merged_yaml": None,
        "includes": [],
    }
    if with_jobs:
        shape["jobs"] = [_planned(plan) for plan in found.plan.jobs] if found.plan else []
    return shape


def _planned(plan: JobPlan) -> Shape:
    return {
        "name": plan.name,
        "stage": plan.stage,
        "before_script": [],
        "script": list(plan.script),
        "after_script": list(plan.after_script),
        "tag_list": list(plan.tags),
        "only": None,
        "except": None,
        "environment": plan.environment.name if plan.environment else None,
        "when": str(plan.when),
        "allow_failure": plan.allow_failure.allowed,
        "needs": None if plan.needs is None else [{"name": n.job, "artifacts": n.artifacts} for n in plan.needs],
    }
