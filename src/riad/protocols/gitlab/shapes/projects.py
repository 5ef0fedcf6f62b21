"""Projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from riad.forge.model import Project
from riad.identity.model import Access, Group, User
from riad.protocols.gitlab.shapes.groups import namespace
from riad.protocols.gitlab.shapes.moments import moment
from riad.protocols.gitlab.shapes.users import basic

Shape = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a project in an answer."""

    group: Group
    url: str
    owner: User | None = None
    project_access: Access = Access.NONE
    group_access: Access = Access.NONE
    empty: bool = False


def simple(project: Project, around: Around) -> Shape:
    """What `simple=true`, and whoever is not signed in, gets."""
    url = around.url
    return {
        "id": project.id,
        "description": project.description or None,
        "name": project.name,
        "name_with_namespace": f"{around.group.name} / {project.name}",
        "path": project.slug,
        "path_with_namespace": project.path,
        "created_at": moment(project.created_at),
        "default_branch": None if around.empty else project.default_branch,
        "tag_list": [],
        "topics": [],
        "ssh_url_to_repo": f"git@{urlsplit(url).hostname}:{project.path}.git",
        "http_url_to_repo": f"{url}/{project.path}.git",
        "web_url": f"{url}/{project.path}",
        "readme_url": None,
        "forks_count": 0,
        "avatar_url": None,
        "star_count": 0,
        "last_activity_at": moment(project.last_activity_at),
        "visibility": project.visibility.value,
        "namespace": namespace(around.group, url),
    }


def full(project: Project, around: Around) -> Shape:
    return (
        simple(project, around)
        | _links(project, around.url)
        | _features()
        | {
            "repository_object_format": "sha1",
            "packages_enabled": False,
            "empty_repo": around.empty,
            "archived": project.archived,
            "owner": basic(around.owner, around.url) if around.owner is not None else None,
            "creator_id": project.creator_id,
            "import_url": None,
            "import_type": None,
            "import_status": "none",
            "import_error": None,
            "description_html": "",
            "updated_at": moment(project.last_activity_at),
            "container_registry_image_prefix": f"{urlsplit(around.url).netloc}/{project.path}".lower(),
            "marked_for_deletion_at": None,
            "marked_for_deletion_on": None,
            "permissions": {
                "project_access": _access(around.project_access),
                "group_access": _access(around.group_access),
            },
        }
    )


def _access(access: Access) -> Shape | None:
    return {"access_level": int(access), "notification_level": 3} if access is not Access.NONE else None


def _links(project: Project, url: str) -> Shape:
    here = f"{url}/api/v4/projects/{project.id}"
    return {
        "_links": {
            "self": here,
            "repo_branches": f"{here}/repository/branches",
            "members": f"{here}/members",
            "events": f"{here}/events",
        }
    }


def _features() -> Shape:
    """What Riad has is on; what it has not is off, so that clients do not go looking for it."""
    return {
        "container_registry_enabled": True,
        "container_registry_access_level": "enabled",
        "container_expiration_policy": None,
        "issues_enabled": False,
        "merge_requests_enabled": False,
        "wiki_enabled": False,
        "jobs_enabled": True,
        "snippets_enabled": False,
        "service_desk_enabled": False,
        "service_desk_address": None,
        "can_create_merge_request_in": False,
        "issues_access_level": "disabled",
        "repository_access_level": "enabled",
        "merge_requests_access_level": "disabled",
        "forking_access_level": "disabled",
        "wiki_access_level": "disabled",
        "builds_access_level": "enabled",
        "snippets_access_level": "disabled",
        "pages_access_level": "disabled",
        "analytics_access_level": "disabled",
        "security_and_compliance_access_level": "disabled",
        "releases_access_level": "disabled",
        "environments_access_level": "enabled",
        "feature_flags_access_level": "disabled",
        "infrastructure_access_level": "disabled",
        "monitor_access_level": "disabled",
        "model_experiments_access_level": "disabled",
        "model_registry_access_level": "disabled",
        "emails_disabled": True,
        "emails_enabled": False,
        "shared_runners_enabled": True,
        "group_runners_enabled": False,
        "lfs_enabled": False,
        "resolve_outdated_diff_discussions": False,
        "open_issues_count": 0,
        "ci_config_path": None,
        "ci_default_git_depth": 20,
        "ci_forward_deployment_enabled": False,
        "ci_job_token_scope_enabled": True,
        "ci_separated_caches": True,
        "ci_allow_fork_pipelines_to_run_in_parent_project": False,
        "public_jobs": True,
        "build_timeout": 3600,
        "build_git_strategy": "fetch",
        "auto_cancel_pending_pipelines": "disabled",
        "auto_devops_enabled": False,
        "auto_devops_deploy_strategy": "continuous",
        "keep_latest_artifact": True,
        "runners_token": None,
        "runner_token_expiration_interval": None,
        "shared_with_groups": [],
        "only_allow_merge_if_pipeline_succeeds": False,
        "allow_merge_on_skipped_pipeline": None,
        "only_allow_merge_if_all_discussions_are_resolved": False,
        "remove_source_branch_after_merge": True,
        "request_access_enabled": False,
        "printing_merge_request_link_enabled": False,
        "merge_method": "merge",
        "squash_option": "default_off",
        "enforce_auth_checks_on_uploads": True,
        "suggestion_commit_message": None,
        "merge_commit_template": None,
        "squash_commit_template": None,
        "issue_branch_template": None,
        "autoclose_referenced_issues": True,
        "restrict_user_defined_variables": False,
        "warn_about_potentially_unwanted_characters": True,
    }
