"""The vocabulary: what Riad reads at each place of the file, and what GitLab knows there that Riad does not yet.

After GitLab's published schema (app/assets/javascripts/editor/schema/ci.json). A key in neither set is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    known: frozenset[str]
    later: frozenset[str] = frozenset()


def _words(known: str, later: str = "") -> Vocabulary:
    return Vocabulary(frozenset(known.split()), frozenset(later.split()))


_SHARED = "image services cache before_script after_script"

TOP = _words(f"default include stages variables workflow {_SHARED}", "spec pages")
DEFAULT = _words(
    f"{_SHARED} artifacts interruptible retry tags timeout",
    "hooks id_tokens identity",
)
JOB = _words(
    f"{_SHARED} script stage variables rules only except needs dependencies artifacts environment when start_in "
    "allow_failure retry timeout tags interruptible coverage parallel extends inherit",
    "hooks id_tokens identity inputs secrets run manual_confirmation release resource_group trigger publish pages "
    "dast_configuration",
)
IMAGE = _words("name entrypoint pull_policy", "docker kubernetes")
SERVICE = _words("name alias entrypoint command variables pull_policy", "docker kubernetes")
VARIABLE = _words("value description options expand")
ARTIFACTS = _words("paths exclude name untracked when expire_in reports", "expose_as access public")
REPORTS = _words(
    "junit dotenv",
    "accessibility annotations api_fuzzing browser_performance codequality cluster_image_scanning container_scanning "
    "coverage_fuzzing coverage_report cyclonedx dast dependency_scanning license_scanning load_performance lsif "
    "metrics performance repository_xray requirements sast scip secret_detection terraform cluster_applications "
    "requirements_v2",
)
CACHE = _words("key paths policy when fallback_keys", "untracked unprotect")
CACHE_KEY = _words("files prefix", "files_commits")
ENVIRONMENT = _words("name url action on_stop deployment_tier", "auto_stop_in kubernetes")
RETRY = _words("max when exit_codes")
RULE = _words("if changes exists when start_in allow_failure variables needs interruptible")
WORKFLOW_RULE = _words("if changes exists when variables", "auto_cancel")
CHANGES = _words("paths compare_to")
EXISTS = _words("paths", "project ref")
WORKFLOW = _words("rules name", "auto_cancel")
NEED = _words("job artifacts optional", "parallel pipeline project ref")
ALLOW_FAILURE = _words("exit_codes")
REFS = _words("refs variables changes", "kubernetes")
INHERIT = _words("default variables")
PARALLEL = _words("matrix")
INCLUDE = _words("local", "rules project ref file remote template component inputs artifact job integrity")

RETRY_REASONS = _words(
    "always unknown_failure script_failure api_failure stuck_or_timeout_failure stuck_pending_with_matching_runners "
    "stuck_pending_no_matching_runners no_updates_running no_updates_canceling runner_system_failure "
    "runner_configuration_error runner_external_dependency_failure runner_interrupted runner_unsupported "
    "stale_schedule job_execution_timeout server_timeout_running server_timeout_canceling archived_failure "
    "unmet_prerequisites scheduler_failure data_integrity_failure image_pull_failure"
).known
PULL_POLICIES = frozenset({"always", "if-not-present", "never"})
DEPLOYMENT_TIERS = frozenset({"production", "staging", "testing", "development", "other"})
ENVIRONMENT_ACTIONS = frozenset({"start", "prepare", "stop", "verify", "access"})
