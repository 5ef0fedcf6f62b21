"""A registry with two users and two projects, without the forge: what the registry's tests start from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from riad.identity import groups, members, users
from riad.identity.model import Access, Visibility
from riad.kernel.blobs import FolderBlobs
from riad.kernel.clock import FixedClock
from riad.kernel.db import Base, Database
from riad.oci import media
from riad.registry.cache import Cache, Upstream
from riad.registry.uploads import Parts

PASSWORD = "correct-horse"


@dataclass(frozen=True, slots=True)
class FakeProject:
    id: int
    group_id: int
    visibility: Visibility


@dataclass(slots=True)
class FakeProjects:
    """Projects by path; `add` makes one."""

    known: dict[str, FakeProject] = field(default_factory=dict)

    def add(self, path: str, group_id: int, visibility: Visibility) -> FakeProject:
        project = FakeProject(max((p.id for p in self.known.values()), default=0) + 1, group_id, visibility)
        self.known[path] = project
        return project

    def by_path(self, session: Session, path: str) -> FakeProject | None:
        return self.known.get(path)

    def by_id(self, session: Session, project_id: int) -> FakeProject | None:
        return next((project for project in self.known.values() if project.id == project_id), None)


@dataclass(frozen=True, slots=True)
class House:
    """`demo/app` is private with the developer `dana`; `demo/open` is public; `sam` belongs to neither."""

    database: Database
    clock: FixedClock
    blobs: FolderBlobs
    parts: Parts
    projects: FakeProjects
    dana: int
    sam: int
    upstreams: tuple[Upstream, ...] = ()

    @property
    def cache(self) -> Cache:
        return Cache(self.database, self.blobs, self.clock, self.parts.folder, self.upstreams)

    def restarted(self) -> House:
        """The same disk and database, with everything in memory forgotten."""
        return House(
            self.database,
            self.clock,
            FolderBlobs(self.parts.folder.parent / "blobs"),
            Parts(self.parts.folder),
            self.projects,
            self.dana,
            self.sam,
        )


def build(folder: Path, database: Database | None = None) -> House:
    """In `database`, an empty one with every table; by default on SQLite in `folder`."""
    if database is None:
        database = Database(f"sqlite:///{folder}/riad.db")
        Base.metadata.create_all(database.engine)
    clock = FixedClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    projects = FakeProjects()
    with database.write() as session:
        dana = users.create(session, username="dana", password=PASSWORD, clock=clock)
        sam = users.create(session, username="sam", password=PASSWORD, clock=clock)
        admin = users.create(session, username="root", password=PASSWORD, is_admin=True, clock=clock)
        group = groups.by_path(session, admin.username)
        assert group is not None
        private = projects.add("demo/app", group.id, Visibility.PRIVATE)
        projects.add("demo/open", group.id, Visibility.PUBLIC)
        members.set(
            session, source="project", source_id=private.id, user_id=dana.id, access=Access.DEVELOPER, clock=clock
        )
    return House(database, clock, FolderBlobs(folder / "blobs"), Parts(folder / "uploads"), projects, dana.id, sam.id)


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def image(config: bytes, *layers: bytes, subject: dict[str, object] | None = None) -> bytes:
    """An OCI image manifest over these blobs."""
    body: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": descriptor(config, media.OCI_CONFIG),
        "layers": [descriptor(layer, media.OCI_LAYER_GZIP) for layer in layers],
    }
    if subject is not None:
        body["subject"] = subject
    return json.dumps(body).encode()
