"""The predefined variables, named and filled as GitLab does (doc/ci/variables/predefined_variables.md). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from riad.kernel import slugs
from riad.pipelines.language.plan import JobPlan
from riad.pipelines.ports import CommitFacts, ProjectFacts, Server, UserFacts

BUILDS = "/builds"
CONFIG_PATH = ".gitlab-ci.yml"
REGISTRY_USER = "gitlab-ci-token"


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """What variables tell about a pipeline; `id` and `iid` are 0 while it does not exist yet."""

    ref: str
    is_tag: bool
    sha: str
    before_sha: str
    source: str
    id: int = 0
    iid: int = 0
    name: str | None = None
    created_at: datetime | None = None


def project_dir(project: ProjectFacts) -> str:
    return f"{BUILDS}/{project.path}"


def of_pipeline(
    pipeline: PipelineFacts, *, project: ProjectFacts, commit: CommitFacts, user: UserFacts | None, server: Server
) -> dict[str, str]:
    """What is known when a pipeline is created, and what its rules see."""
    values = {
        "CI": "true",
        "GITLAB_CI": "true",
        **_of_server(server),
        **_of_project(project, server),
        **_of_commit(pipeline, commit, project),
        "CI_CONFIG_PATH": CONFIG_PATH,
        "CI_PIPELINE_SOURCE": pipeline.source,
        "CI_NODE_TOTAL": "1",
    }
    if pipeline.id:
        values |= {
            "CI_PIPELINE_ID": str(pipeline.id),
            "CI_PIPELINE_IID": str(pipeline.iid),
            "CI_PIPELINE_URL": f"{server.url}/{project.path}/-/pipelines/{pipeline.id}",
        }
    if pipeline.created_at is not None:
        values["CI_PIPELINE_CREATED_AT"] = _moment(pipeline.created_at)
    if pipeline.name:
        values["CI_PIPELINE_NAME"] = pipeline.name
    if user is not None:
        values |= {
            "GITLAB_USER_ID": str(user.id),
            "GITLAB_USER_LOGIN": user.username,
            "GITLAB_USER_NAME": user.name,
            "GITLAB_USER_EMAIL": user.email,
        }
    return values


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_server(server: Server) -> dict[str, str]:
    parts = urlsplit(server.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    major, minor, patch = (*re.findall(r"\d+", server.version), "0", "0", "0")[:3]
    return {
        "CI_SERVER": "yes",
        "CI_SERVER_NAME": server.name,
        "CI_SERVER_URL": server.url,
        "CI_SERVER_HOST": parts.hostname or "",
        "CI_SERVER_PORT": str(port),
        "CI_SERVER_FQDN": parts.netloc,
        "CI_SERVER_PROTOCOL": parts.scheme,
        "CI_SERVER_VERSION": server.version,
        "CI_SERVER_VERSION_MAJOR": major,
        "CI_SERVER_VERSION_MINOR": minor,
        "CI_SERVER_VERSION_PATCH": patch,
        "CI_API_V4_URL": f"{server.url}/api/v4",
        "CI_BUILDS_DIR": BUILDS,
        "RIAD_URL": server.riad_url or server.url,
    }


def _of_project(project: ProjectFacts, server: Server) -> dict[str, str]:
    return {
        "CI_PROJECT_ID": str(project.id),
        "CI_PROJECT_NAME": project.slug,
        "CI_PROJECT_TITLE": project.name,
        "CI_PROJECT_DESCRIPTION": project.description,
        "CI_PROJECT_NAMESPACE": project.namespace,
        "CI_PROJECT_NAMESPACE_ID": str(project.group_id),
        "CI_PROJECT_NAMESPACE_SLUG": slugs.plain(project.namespace),
        "CI_PROJECT_ROOT_NAMESPACE": project.path.partition("/")[0],
        "CI_PROJECT_PATH": project.path,
        "CI_PROJECT_PATH_SLUG": slugs.plain(project.path),
        "CI_PROJECT_URL": f"{server.url}/{project.path}",
        "CI_PROJECT_VISIBILITY": project.visibility,
        "CI_PROJECT_DIR": project_dir(project),
        "CI_DEFAULT_BRANCH": project.default_branch,
        "CI_REGISTRY": server.registry,
        "CI_REGISTRY_IMAGE": f"{server.registry}/{project.path}".lower(),
    }


def _of_commit(pipeline: PipelineFacts, commit: CommitFacts, project: ProjectFacts) -> dict[str, str]:
    title, _, rest = commit.message.partition("\n")
    where = {"CI_COMMIT_TAG": pipeline.ref} if pipeline.is_tag else {"CI_COMMIT_BRANCH": pipeline.ref}
    return {
        "CI_COMMIT_SHA": pipeline.sha,
        "CI_COMMIT_SHORT_SHA": pipeline.sha[:8],
        "CI_COMMIT_BEFORE_SHA": pipeline.before_sha,
        "CI_COMMIT_REF_NAME": pipeline.ref,
        "CI_COMMIT_REF_SLUG": slugs.plain(pipeline.ref),
        "CI_COMMIT_REF_PROTECTED": "true" if is_protected(pipeline.ref, project) else "false",
        "CI_COMMIT_TITLE": title,
        "CI_COMMIT_MESSAGE": commit.message,
        "CI_COMMIT_DESCRIPTION": rest.strip("\n"),
        "CI_COMMIT_AUTHOR": commit.author,
        "CI_COMMIT_TIMESTAMP": commit.committed_at.isoformat(),
        **where,
    }


def is_protected(ref: str, project: ProjectFacts) -> bool:
    """Until branches can be protected one by one, the default branch is."""
    return ref == project.default_branch


def of_job(
    plan: JobPlan, *, job_id: int, started_at: datetime, timeout: int, project: ProjectFacts, server: Server, token: str
) -> dict[str, str]:
    """What only one job knows. Holds the job's token: everything made of it is to be masked."""
    parts = urlsplit(server.url)
    values = {
        "CI_JOB_ID": str(job_id),
        "CI_JOB_NAME": plan.name,
        "CI_JOB_NAME_SLUG": slugs.plain(plan.name),
        "CI_JOB_STAGE": plan.stage,
        "CI_JOB_URL": f"{server.url}/{project.path}/-/jobs/{job_id}",
        "CI_JOB_STARTED_AT": _moment(started_at),
        "CI_JOB_TIMEOUT": str(timeout),
        "CI_JOB_TOKEN": token,
        "CI_REGISTRY_USER": REGISTRY_USER,
        "CI_REGISTRY_PASSWORD": token,
        "CI_REPOSITORY_URL": f"{parts.scheme}://{REGISTRY_USER}:{token}@{parts.netloc}/{project.path}.git",
        "CI_RUNNER_DESCRIPTION": "riad",
        "CI_RUNNER_EXECUTABLE_ARCH": "linux/amd64",
        "CI_RUNNER_VERSION": server.version,
        "CI_DISPOSABLE_ENVIRONMENT": "true",
        "CI_JOB_STATUS": "running",
    }
    if plan.image is not None:
        values["CI_JOB_IMAGE"] = plan.image.name
    if str(plan.when) == "manual":
        values["CI_JOB_MANUAL"] = "true"
    if plan.environment is not None:
        values |= {
            "CI_ENVIRONMENT_NAME": plan.environment.name,
            "CI_ENVIRONMENT_SLUG": slugs.hashed(plan.environment.name),
            "CI_ENVIRONMENT_ACTION": plan.environment.action,
            "CI_ENVIRONMENT_TIER": plan.environment.tier or tier(plan.environment.name),
        }
    return values


_TIERS = (
    ("development", r"dev|review|trunk|local"),
    ("testing", r"test|tst|int|ac(ce|)pt|qa|qc|control|quality"),
    ("staging", r"st(a|)g|mod(e|)l|pre|demo|non"),
    ("production", r"pr(o|)d|live"),
)


def tier(environment: str) -> str:
    """The tier GitLab reads from an environment's name."""
    for name, pattern in _TIERS:
        if re.search(pattern, environment, re.IGNORECASE):
            return name
    return "other"
