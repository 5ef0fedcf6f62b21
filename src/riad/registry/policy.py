"""What a project may keep, and what it forgets by itself: quota, retention, protected tags.

The retention rules are GitLab's clean-up policies: of the tags that `delete` matches and `keep` does not, the newest
`keep_n` stay and so does what is younger than `older_than`; `latest` and protected tags always stay. Deciding is pure.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.kernel.clock import Clock
from riad.kernel.faults import invalid
from riad.registry import listings, manifests
from riad.registry.listings import TagInfo
from riad.registry.store import PolicyRow, RepositoryRow

_ALWAYS_KEPT = "latest"
_LONGEST_PATTERN = 255
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "month": 30 * 86400, "y": 365 * 86400}
_SPAN = re.compile(r"(\d{1,6})\s*(month|s|m|h|d|w|y)")
CADENCES = ("1d", "7d", "14d", "1month", "3month")


@dataclass(frozen=True, slots=True)
class Rules:
    """Which tags go. Patterns are regular expressions for the whole name; `older_than` such as `7d`, `1month`."""

    delete: str = ".*"
    keep: str = ""
    keep_n: int | None = None
    older_than: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` in bytes, None for no limit; `protected` are patterns with `*`, whose tags only a maintainer moves."""

    quota: int | None = None
    enabled: bool = False
    cadence: str = "1d"
    rules: Rules = Rules(keep_n=10, older_than="90d")
    protected: tuple[str, ...] = ()
    next_run: datetime | None = None

    def protects(self, tag: str) -> bool:
        return any(fnmatch.fnmatchcase(tag, pattern) for pattern in self.protected)


def expired(tags: Iterable[TagInfo], rules: Rules, *, now: datetime, protected: Sequence[str] = ()) -> list[TagInfo]:
    """The tags that the rules let go. Raises INVALID for a rule that is none."""
    delete, keep = _pattern(rules.delete, "name_regex_delete"), _pattern(rules.keep, "name_regex_keep")
    shielded = Policy(protected=tuple(protected))
    found = [
        tag
        for tag in sorted(tags, key=lambda tag: (tag.updated_at, tag.name), reverse=True)
        if tag.name != _ALWAYS_KEPT
        and not shielded.protects(tag.name)
        and delete.fullmatch(tag.name)
        and not (rules.keep and keep.fullmatch(tag.name))
    ]
    found = found[rules.keep_n or 0 :]
    if rules.older_than:
        before = now - span(rules.older_than)
        found = [tag for tag in found if tag.updated_at < before]
    return found


def span(text: str) -> timedelta:
    """`7d`, `12h`, `1month`. Raises INVALID."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise invalid(f'older_than: "{text[:40]}" is not a number with s, m, h, d, w, month or y, such as 7d')
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def check(policy: Policy) -> Policy:
    """Returns `policy`. Raises INVALID naming the field."""
    _pattern(policy.rules.delete, "name_regex_delete")
    _pattern(policy.rules.keep, "name_regex_keep")
    if policy.rules.older_than:
        span(policy.rules.older_than)
    if policy.quota is not None and policy.quota < 0:
        raise invalid("quota: bytes, not less than 0")
    if policy.rules.keep_n is not None and not 0 <= policy.rules.keep_n <= 10_000:
        raise invalid("keep_n: a number from 0 to 10000")
    if policy.cadence not in CADENCES:
        raise invalid(f"cadence: one of {', '.join(CADENCES)}")
    if any(len(pattern) > _LONGEST_PATTERN for pattern in policy.protected):
        raise invalid(f"protected: a pattern may have {_LONGEST_PATTERN} characters")
    return policy


def of_project(session: Session, project_id: int) -> Policy:
    row = session.get(PolicyRow, project_id)
    return Policy() if row is None else _policy(row)


def set_policy(session: Session, project_id: int, policy: Policy, *, clock: Clock) -> Policy:
    """Takes effect at once; the first clean-up comes with the next round. Raises INVALID."""
    check(policy)
    row = session.get(PolicyRow, project_id)
    if row is None:
        row = PolicyRow(project_id=project_id)
        session.add(row)
    row.quota, row.enabled, row.cadence = policy.quota, policy.enabled, policy.cadence
    row.keep_n, row.older_than = policy.rules.keep_n, policy.rules.older_than
    row.name_regex, row.name_regex_keep = policy.rules.delete, policy.rules.keep
    row.protected = list(policy.protected)
    row.next_run = clock.now() if policy.enabled else None
    session.flush()
    return replace(policy, next_run=row.next_run)


def clean(session: Session, repository: RepositoryRow, rules: Rules, *, now: datetime) -> list[str]:
    """Deletes what the rules let go of; returns the names of the tags. Garbage collection frees the bytes."""
    protected = of_project(session, repository.project_id).protected
    gone = expired(listings.tags_of(session, repository.id), rules, now=now, protected=protected)
    for tag in gone:
        manifests.delete(session, repository, tag.name)
    return [tag.name for tag in gone]


def clean_due(session: Session, *, clock: Clock) -> int:
    """Cleans the projects whose turn it is; returns how many tags went."""
    now = clock.now()
    due = session.scalars(select(PolicyRow).where(PolicyRow.enabled.is_(True), PolicyRow.next_run <= now)).all()
    gone = 0
    for row in due:
        policy = _policy(row)
        for repository in session.scalars(select(RepositoryRow).where(RepositoryRow.project_id == row.project_id)):
            gone += len(clean(session, repository, policy.rules, now=now))
        row.next_run = now + span(policy.cadence)
    return gone


def _policy(row: PolicyRow) -> Policy:
    rules = Rules(row.name_regex, row.name_regex_keep, row.keep_n, row.older_than)
    return Policy(row.quota, row.enabled, row.cadence, rules, tuple(row.protected), row.next_run)


def _pattern(text: str, name: str) -> re.Pattern[str]:
    if len(text) > _LONGEST_PATTERN:
        raise invalid(f"{name}: a pattern may have {_LONGEST_PATTERN} characters")
    try:
        return re.compile(text)
    except (re.error, RecursionError) as error:
        raise invalid(f'{name}: "{text}" is not a regular expression: {error}') from None
