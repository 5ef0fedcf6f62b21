"""Who calls, and what of each project they may see and change.

A client that logs a metric asks a hundred times a second, so what has been found out is kept for `KEPT` seconds: a
token that is revoked works that much longer here, and no more.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from riad.forge import projects
from riad.forge.model import Project
from riad.identity import authenticate, permissions, sessions
from riad.identity.model import Access as Role
from riad.identity.model import Kind, Principal, Scope
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import not_found, unauthenticated
from riad.ml.experiments import SHARED
from riad.protocols import credentials

KEPT = 5.0
_MOST = 4096


class _Kept:
    """The newest answers, each for `KEPT` seconds."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:
        found = self._found.get(key)
        return found[1] if found is not None and found[0] > monotonic() else None

    def put(self, key: Hashable, value: Any) -> None:
        self._found[key] = (monotonic() + KEPT, value)
        while len(self._found) > _MOST:
            self._found.popitem(last=False)


class Access:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._principals, self._roles, self._projects = _Kept(), _Kept(), _Kept()

    async def principal(self, request: Request) -> Principal:
        """Raises UNAUTHENTICATED, also where nothing was given: experiments are nobody's to read."""
        header = request.headers.get("authorization")
        token = request.headers.get("private-token") or request.headers.get("job-token") or credentials.bearer(header)
        cookie = request.cookies.get(sessions.COOKIE) if request.method == "GET" else None
        if header is None and token is None and cookie is not None:
            return await run_in_threadpool(self._of_page, cookie)
        if header is None and token is None:
            raise unauthenticated(
                "sign in to use Riad's experiments: set MLFLOW_TRACKING_TOKEN to a personal access token (riad token)"
            )
        key = hashlib.sha256(f"{header}\0{token}".encode()).digest()
        if (known := self._principals.get(key)) is not None:
            return known  # type: ignore[no-any-return]
        found = await run_in_threadpool(self._authenticate, token, credentials.basic(header))
        self._principals.put(key, found)
        return found

    def _of_page(self, cookie: str) -> Principal:
        """Who follows a link on our pages to a file. Only to read: other sites' pages can send a cookie along."""
        with self._database.read() as session:
            found = sessions.principal(session, cookie, clock=self._clock)
        if found.user is not None and found.user.must_change_password:
            raise authenticate.refused()
        return found

    def _authenticate(self, token: str | None, pair: tuple[str, str] | None) -> Principal:
        with self._database.read() as session:
            if token is not None:
                return authenticate.token(session, token, clock=self._clock)
            if pair is not None:
                return authenticate.basic(session, *pair, clock=self._clock)
        raise authenticate.refused()

    def require(self, principal: Principal, project_id: int, wanted: Role) -> None:
        """Raises NOT_FOUND where the principal may not know of the project, DENIED where it may not do this."""
        if principal.kind is not Kind.JOB:  # jobs are bound by their project, not by scopes
            scopes = (Scope.API,) if wanted > Role.REPORTER else (Scope.API, Scope.READ_API)
            permissions.require_scope(principal, *scopes)
        if project_id == SHARED:
            if principal.kind is Kind.JOB:
                raise not_found("a job sees the experiments of its own project")
            return
        key = (principal.user.id if principal.user else 0, principal.kind, principal.project_id, project_id, wanted)
        if self._roles.get(key) is None:
            with self._database.read() as session:
                project = projects.by_id(session, [project_id]).get(project_id)
                if project is None:
                    raise not_found("there is no such experiment")
                permissions.require(session, principal, project, wanted)
            self._roles.put(key, True)

    def project(self, reference: str) -> Project:
        """By number, or by GROUP/NAME. Raises NOT_FOUND."""
        if (known := self._projects.get(reference)) is not None:
            return known  # type: ignore[no-any-return]
        with self._database.read() as session:
            found = (
                projects.by_id(session, [int(reference)]).get(int(reference))
                if reference.isdigit()
                else projects.by_path(session, reference)
            )
        if found is None:
            raise not_found(f"there is no project {reference}")
        self._projects.put(reference, found)
        return found

    def project_of_name(self, name: str) -> tuple[Project, str] | None:
        """The project that `GROUP/PROJECT/REST` begins with, and the rest."""
        parts = name.split("/")
        for length in range(len(parts) - 1, 1, -1):
            with self._database.read() as session:
                found = projects.by_path(session, "/".join(parts[:length]))
            if found is not None:
                return found, "/".join(parts[length:])
        return None

    def visible(self, principal: Principal) -> list[int]:
        """The projects that the principal sees."""
        key = ("visible", principal.user.id if principal.user else 0, principal.kind, principal.project_id)
        if (known := self._projects.get(key)) is not None:
            return known  # type: ignore[no-any-return]
        with self._database.read() as session:
            found = [each.id for each in projects.list_visible(session, principal, limit=10_000)[0]]
        self._projects.put(key, found)
        return found


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's principal, and the project that its address or its job's token names (None for neither)."""

    principal: Principal
    access: Access
    project: Project | None

    @property
    def user_name(self) -> str:
        return self.principal.user.username if self.principal.user is not None else ""

    def read(self, project_id: int) -> None:
        """Raises NOT_FOUND where it may not see what belongs to that project."""
        self._stay_inside(project_id)
        self.access.require(self.principal, project_id, Role.REPORTER)

    def write(self, project_id: int) -> None:
        """Raises NOT_FOUND, or DENIED where it may only read."""
        self._stay_inside(project_id)
        self.access.require(self.principal, project_id, Role.DEVELOPER)

    def _stay_inside(self, project_id: int) -> None:
        if self.project is not None and project_id != self.project.id:
            raise not_found(f"{self.project.path} has nothing of that name or id")

    def space(self) -> int:
        """Where what has no project in its name belongs."""
        return self.project.id if self.project is not None else SHARED

    def spaces(self) -> list[int]:
        """Everything that it may search."""
        if self.project is not None:
            self.read(self.project.id)
            return [self.project.id]
        self.access.require(self.principal, SHARED, Role.REPORTER)
        return [SHARED, *self.access.visible(self.principal)]

    def inward(self, name: str) -> tuple[int, str]:
        """The space and the name in it, of an experiment's name as the client writes it."""
        if self.project is None and (found := self.access.project_of_name(name)) is not None:
            return found[0].id, found[1]
        return self.space(), name

    def outward(self, project_id: int, name: str) -> str:
        """The name that the client knows an experiment by."""
        if self.project is not None or project_id == SHARED:
            return name
        return f"{self.access.project(str(project_id)).path}/{name}"
