"""Groups and namespaces."""

from __future__ import annotations

from typing import Any

from riad.identity.model import Group, User
from riad.protocols.gitlab.shapes.moments import moment

Shape = dict[str, Any]


def group(group: Group, url: str) -> Shape:
    return {
        "id": group.id,
        "web_url": f"{url}/groups/{group.path}",
        "name": group.name,
        "path": group.path,
        "description": group.description,
        "visibility": group.visibility.value,
        "share_with_group_lock": False,
        "require_two_factor_authentication": False,
        "two_factor_grace_period": 48,
        "project_creation_level": "developer",
        "auto_devops_enabled": None,
        "subgroup_creation_level": "owner",
        "emails_disabled": False,
        "emails_enabled": True,
        "mentions_disabled": None,
        "lfs_enabled": False,
        "math_rendering_limits_enabled": True,
        "lock_math_rendering_limits_enabled": False,
        "default_branch": None,
        "default_branch_protection": 0,
        "default_branch_protection_defaults": {},
        "avatar_url": None,
        "request_access_enabled": False,
        "full_name": group.name,
        "full_path": group.path,
        "created_at": moment(group.created_at),
        "parent_id": None,
        "organization_id": 1,
        "shared_runners_setting": "enabled",
        "ldap_cn": None,
        "ldap_access": None,
        "wiki_access_level": "disabled",
        "marked_for_deletion_on": None,
    }


def detail(found: Group, url: str, projects: list[Shape]) -> Shape:
    return group(found, url) | {
        "shared_with_groups": [],
        "prevent_sharing_groups_outside_hierarchy": False,
        "projects": projects,
        "shared_projects": [],
        "shared_runners_minutes_limit": None,
        "extra_shared_runners_minutes_limit": None,
    }


def namespace(group: Group, url: str) -> Shape:
    """The short form that a project carries."""
    own = group.owner_id is not None
    return {
        "id": group.id,
        "name": group.name,
        "path": group.path,
        "kind": "user" if own else "group",
        "full_path": group.path,
        "parent_id": None,
        "avatar_url": None,
        "web_url": f"{url}/{group.path}" if own else f"{url}/groups/{group.path}",
    }


def namespace_detail(group: Group, url: str, viewer: User | None) -> Shape:
    shape = namespace(group, url)
    if viewer is not None and (viewer.is_admin or group.owner_id == viewer.id):
        shape |= {"billable_members_count": 0, "seats_in_use": 0, "max_seats_used": 0, "plan": "default"}
        shape |= {"trial": False, "trial_ends_on": None}
    return shape
