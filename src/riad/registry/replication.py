"""A project's tags, copied to another registry whenever they are pushed.

A replica is a target (`https://HOST[:PORT]/NAMESPACE`), an account, and a pattern for tags. The repository
`group/app/worker` of project `group/app` goes to `NAMESPACE/group/app/worker`. The copy is idempotent: what is there is
not sent again, so that a reaction may run as often as it has to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, invalid, not_found
from riad.registry import document as documents
from riad.registry import manifests, repositories
from riad.registry.blobs import key
from riad.registry.names import RepositoryName
from riad.registry.remote import Account, Remote
from riad.registry.store import ReplicaRow


@dataclass(frozen=True, slots=True)
class Replica:
    """`error` is what went wrong at the last attempt; `copied_at` when one last succeeded."""

    id: int
    target: str
    account: Account
    tags: str
    copied_at: datetime | None
    error: str | None

    @property
    def username(self) -> str:
        return self.account.username

    def remote(self, repository: str) -> Remote:
        parts = urlsplit(self.target)
        path = "/".join(filter(None, (parts.path.strip("/"), repository)))
        return Remote(f"{parts.scheme}://{parts.netloc}", path, self.account, actions="pull,push")


def add(session: Session, project_id: int, *, target: str, username: str, password: str, tags: str = ".*") -> Replica:
    """Raises INVALID."""
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username or parts.query or parts.fragment:
        raise invalid(f'target: "{target[:100]}" is not http(s)://HOST[:PORT][/NAMESPACE]')
    try:
        re.compile(tags)
    except re.error as error:
        raise invalid(f'tags: "{tags[:100]}" is not a regular expression: {error}') from None
    row = ReplicaRow(project_id=project_id, target=target, username=username, password=password, tags=tags)
    session.add(row)
    session.flush()
    return _replica(row)


def of_project(session: Session, project_id: int) -> list[Replica]:
    found = session.scalars(select(ReplicaRow).where(ReplicaRow.project_id == project_id).order_by(ReplicaRow.id))
    return [_replica(row) for row in found]


def remove(session: Session, project_id: int, replica_id: int) -> None:
    """Raises NOT_FOUND."""
    row = session.get(ReplicaRow, replica_id)
    if row is None or row.project_id != project_id:
        raise not_found("404 Not found")
    session.delete(row)


def copy_tag(database: Database, store: BlobStore, *, project_id: int, repository: str, tag: str, clock: Clock) -> None:
    """Copies a tag to all replicas that want it. Raises the last refusal once all were tried."""
    with database.read() as session:
        wanted = [one for one in of_project(session, project_id) if re.fullmatch(one.tags, tag)]
    failure: Fault | None = None
    for replica in wanted:
        error = None
        try:
            _copy(database, store, replica.remote(repository), repository, tag)
        except Fault as fault:
            error, failure = str(fault)[:500], fault
        with database.write() as session:
            row = session.get(ReplicaRow, replica.id)
            if row is not None:
                row.error = error
                row.copied_at = row.copied_at if error else clock.now()
    if failure is not None:
        raise failure


def _copy(database: Database, store: BlobStore, remote: Remote, repository: str, reference: str) -> None:
    """The manifest with all it names, the named things first. A tag that is gone meanwhile is not an error."""
    with database.read() as session:
        try:
            row = repositories.get(session, RepositoryName.parse(repository))
            info = manifests.resolve(session, row, reference)
        except Fault:
            return
    body = manifests.read(store, info)
    found = documents.read(body, info.media_type)
    for named in sorted(found.manifests):
        _copy(database, store, remote, repository, named)
    for digest in sorted(found.blobs):
        if remote.blob_size(digest) is None:
            with store.open(key(digest)) as content:
                remote.send_blob(digest, content, store.size(key(digest)) or 0)
    remote.send_manifest(reference, body, info.media_type)


def _replica(row: ReplicaRow) -> Replica:
    return Replica(row.id, row.target, Account(row.username, row.password), row.tags, row.copied_at, row.error)
