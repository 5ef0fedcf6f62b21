"""CI/CD variables of projects and groups: kept as GitLab does, masked in logs, protected for protected branches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.kernel.faults import Finding, conflict, invalid, not_found
from riad.pipelines.store import VariableRow

_KEY = re.compile(r"[A-Za-z0-9_]{1,255}")
_MASKABLE = re.compile(r"\S{8,}")
MAX_VALUE = 10_000


@dataclass(frozen=True, slots=True)
class VariableFields:
    """One variable, by GitLab's fields."""

    key: str
    value: str
    variable_type: str = "env_var"
    protected: bool = False
    masked: bool = False
    raw: bool = False
    environment_scope: str = "*"
    description: str | None = None


def check(fields: VariableFields) -> None:
    """Raises INVALID with every finding."""
    findings = []
    if not _KEY.fullmatch(fields.key):
        findings.append(Finding("key", "a variable's name holds only letters, digits and _ (at most 255)"))
    if fields.variable_type not in ("env_var", "file"):
        findings.append(Finding("variable_type", "must be env_var or file"))
    if len(fields.value) > MAX_VALUE:
        findings.append(Finding("value", f"is longer than {MAX_VALUE} characters"))
    if "\0" in fields.value:
        findings.append(Finding("value", "holds a zero byte"))
    if fields.masked and not _MASKABLE.fullmatch(fields.value):
        findings.append(Finding("value", "to be masked it must be one line of at least 8 characters without blanks"))
    if findings:
        raise invalid("; ".join(map(str, findings)), *findings)


def listed(session: Session, owner: str, owner_id: int) -> list[VariableRow]:
    """`owner` is project or group."""
    query = select(VariableRow).where(VariableRow.owner == owner, VariableRow.owner_id == owner_id)
    return list(session.scalars(query.order_by(VariableRow.key, VariableRow.environment_scope)))


def get(session: Session, owner: str, owner_id: int, key: str, *, scope: str | None = None) -> VariableRow:
    """Raises NOT_FOUND; CONFLICT where several environments have one and `scope` does not say which."""
    rows = [r for r in listed(session, owner, owner_id) if r.key == key and scope in (None, r.environment_scope)]
    if not rows:
        raise not_found(f"there is no variable {key}")
    if len(rows) > 1:
        raise conflict(f"there are several variables {key}: say which with filter[environment_scope]")
    return rows[0]


def create(session: Session, owner: str, owner_id: int, fields: VariableFields) -> VariableRow:
    check(fields)
    if any(
        row.key == fields.key and row.environment_scope == fields.environment_scope
        for row in listed(session, owner, owner_id)
    ):
        raise invalid(
            f"the variable {fields.key} exists already", Finding("key", f"{fields.key} has already been taken")
        )
    row = VariableRow(owner=owner, owner_id=owner_id)
    _fill(row, fields)
    session.add(row)
    session.flush()
    return row


def update(session: Session, row: VariableRow, fields: VariableFields) -> VariableRow:
    check(fields)
    _fill(row, fields)
    session.flush()
    return row


def forget(session: Session, owner: str, owner_id: int) -> None:
    """Removes all variables of a project or group that is going away."""
    session.execute(delete(VariableRow).where(VariableRow.owner == owner, VariableRow.owner_id == owner_id))


def _fill(row: VariableRow, fields: VariableFields) -> None:
    row.key, row.value, row.variable_type = fields.key, fields.value, fields.variable_type
    row.protected, row.masked, row.raw = fields.protected, fields.masked, fields.raw
    row.environment_scope, row.description = fields.environment_scope, fields.description


def fields_of(row: VariableRow) -> VariableFields:
    return VariableFields(
        key=row.key,
        value=row.value,
        variable_type=row.variable_type,
        protected=row.protected,
        masked=row.masked,
        raw=row.raw,
        environment_scope=row.environment_scope,
        description=row.description,
    )


def for_job(
    session: Session, *, project_id: int, group_id: int, protected: bool, environment: str | None
) -> list[VariableFields]:
    """Those a job gets, the group's before the project's, general scopes before exact ones (later wins)."""
    found: list[VariableFields] = []
    for owner, owner_id in (("group", group_id), ("project", project_id)):
        rows = map(fields_of, listed(session, owner, owner_id))
        found.extend(_applying(rows, protected=protected, environment=environment))
    return found


def _applying(rows: Iterable[VariableFields], *, protected: bool, environment: str | None) -> list[VariableFields]:
    def applies(row: VariableFields) -> bool:
        if row.protected and not protected:
            return False
        return row.environment_scope == "*" or fnmatchcase(environment or "", row.environment_scope)

    return sorted(filter(applies, rows), key=lambda row: (row.environment_scope != "*", len(row.environment_scope)))
