"""Names that an environment gets: GitLab's slug and tier, and the name its service answers on. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from riad.kernel import slugs
from riad.kernel.faults import invalid

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_ ./${}-]{1,255}")
URL = re.compile(r"https?://[!-~]{1,2000}")


class Tier(enum.StrEnum):
    PRODUCTION = "production"
    STAGING = "staging"
    TESTING = "testing"
    DEVELOPMENT = "development"
    OTHER = "other"


_TIERS = (
    (Tier.DEVELOPMENT, re.compile(r"(dev|review|trunk)", re.IGNORECASE)),
    (Tier.TESTING, re.compile(r"(test|tst|int|ac(ce|)pt|qa|qc|control|quality)", re.IGNORECASE)),
    (Tier.STAGING, re.compile(r"(st(a|)g|mod(e|)l|pre|demo|non)", re.IGNORECASE)),
    (Tier.PRODUCTION, re.compile(r"(pr(o|)d|live)", re.IGNORECASE)),
)


def tier(environment: str) -> Tier:
    """The tier that GitLab infers from an environment's name."""
    return next((found for found, pattern in _TIERS if pattern.search(environment)), Tier.OTHER)


def environment_name(text: str) -> str:
    """Checks a name as GitLab does: letters, digits, spaces and `-_/${}.`, no slash at either end. Raises INVALID."""
    if not _ENVIRONMENT.fullmatch(text) or text.startswith("/") or text.endswith("/") or not text.strip():
        raise invalid(
            f'environment name "{text}" may hold letters, digits, spaces and - _ / . only, at most 255, '
            "and no slash at its beginning or end"
        )
    return text


def service_name(text: str) -> str:
    """Checks a chosen name: it becomes the first label of a host name. Raises INVALID."""
    if not _LABEL.fullmatch(text):
        raise invalid(f'service name "{text}" may hold a-z, 0-9 and - only, at most 63, and no - at either end')
    return text


def external_url(text: str) -> str:
    """Checks an address that pages link to: nothing but http(s), or it could be a script. Raises INVALID."""
    if not URL.fullmatch(text):
        raise invalid(f'external_url "{text[:200]}" is not an http(s) address')
    return text


def service_candidates(project_path: str, environment: str, *, first: bool) -> Iterator[str]:
    """Names for an environment's service, best first, never ending; the first that is free is taken.

    Production and a project's first environment answer on the project's name, others on `<project>-<slug>`.
    """
    group, _, project = project_path.rpartition("/")
    tail = "" if first or tier(environment) is Tier.PRODUCTION else f"-{slugs.hashed(environment)}"
    plain = _as_label(project + tail)
    yield plain
    if tail == "":
        yield _as_label(f"{project}-{slugs.hashed(environment)}")
    if group:
        yield _as_label(f"{group}-{project}{tail}")
    number = 2
    while True:
        yield _as_label(f"{plain[:56]}-{number}")
        number += 1


def _as_label(text: str) -> str:
    label = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]", "-", text.lower())).strip("-")[:63].rstrip("-")
    return label or "service"
