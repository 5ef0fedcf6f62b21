"""Other registries' images, kept here as they are asked for: `cache/docker.io/library/alpine`.

An upstream is a name and an address; its repositories appear below `cache/NAME/`. A tag younger than `fresh` is
answered from here; an older one is compared with the upstream's digest first, and where the upstream does not answer,
what is here is still good. Manifests by digest and blobs never change and are fetched once. Nobody pushes here. What
was not asked for since `FORGOTTEN` goes, with the garbage collection.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, invalid
from riad.oci.digest import digest_of
from riad.registry import blobs, manifests, repositories
from riad.registry.blobs import BlobInfo
from riad.registry.faults import Reason, Refusal
from riad.registry.manifests import ManifestInfo
from riad.registry.names import RepositoryName
from riad.registry.remote import Account, Remote
from riad.registry.store import RepositoryRow, TagRow, repository

PREFIX = "cache/"
NOBODYS = 0
"""The project of cached repositories: none."""
FORGOTTEN = timedelta(days=30)
_PIECE = 1 << 18
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Upstream:
    """`name` is the path part after `cache/`; `url` is http(s)://HOST[:PORT]."""

    name: str
    url: str
    account: Account


def parse_upstream(text: str) -> Upstream:
    """`docker.io`, `NAME=URL`, `NAME=https://USER:PASSWORD@HOST`. Raises INVALID."""
    name, equals, url = text.partition("=")
    if not equals:
        url = f"https://{'registry-1.docker.io' if name == 'docker.io' else name}"
    parts = urlsplit(url)
    if (
        not _NAME.fullmatch(name)
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path.strip("/")
    ):
        raise invalid(f'"{text}" is not NAME or NAME=http(s)://[USER:PASSWORD@]HOST[:PORT]')
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Upstream(name, address, Account(parts.username or "", parts.password or ""))


@dataclass(frozen=True, slots=True)
class Cache:
    """`folder` takes what is being fetched. `public`: whether one need not be signed in."""

    database: Database
    store: BlobStore
    clock: Clock
    folder: Path
    upstreams: Sequence[Upstream] = ()
    public: bool = False
    fresh: timedelta = timedelta(minutes=5)

    def remote(self, name: RepositoryName) -> Remote | None:
        """Where a cached repository comes from; None for any other name."""
        rest = name.text.removeprefix(PREFIX)
        if rest == name.text:
            return None
        for upstream in self.upstreams:
            path = rest.removeprefix(f"{upstream.name}/")
            if path != rest:
                return Remote(upstream.url, path, upstream.account)
        return None

    def manifest(self, name: RepositoryName, reference: str) -> ManifestInfo:
        """Raises MANIFEST_UNKNOWN, and UNAVAILABLE where neither the upstream nor this cache has it."""
        remote = self._needed(name)
        here, is_fresh = self._known(name, reference)
        if here is not None and is_fresh:
            return here
        try:
            if here is not None and remote.digest(reference) == here.digest:
                self._touch(name, reference)
                return here
            body, media_type = remote.manifest(reference)
        except Fault as fault:
            if here is not None and fault.kind is not Kind.NOT_FOUND:
                return here
            raise _as_refusal(fault, Reason.MANIFEST_UNKNOWN) from None
        return self._keep_manifest(name, reference, body, media_type)

    def blob(self, name: RepositoryName, digest: str) -> BlobInfo | None:
        """What is known of a blob: kept here, or only upstream (None). Raises BLOB_UNKNOWN."""
        self._needed(name)
        with self.database.read() as session:
            row = repository(session, name.text)
            if row is None:
                return None
            try:
                return blobs.find(session, row.id, digest)
            except Refusal:
                return None

    def size(self, name: RepositoryName, digest: str) -> int:
        """In bytes, as the upstream says. Raises BLOB_UNKNOWN, UNAVAILABLE."""
        try:
            found = self._needed(name).blob_size(digest)
        except Fault as fault:
            raise _as_refusal(fault, Reason.BLOB_UNKNOWN) from None
        if found is None:
            raise blobs.unknown(digest)
        return found

    def fetch(self, name: RepositoryName, digest: str) -> tuple[int, Iterator[bytes]]:
        """A blob's size and its content as it comes; kept here once it was read to its end and is what it should be."""
        try:
            source, size = self._needed(name).blob(digest)
        except Fault as fault:
            raise _as_refusal(fault, Reason.BLOB_UNKNOWN) from None
        return size, self._passed_on(name, digest, source)

    def forget_idle(self, session: Session) -> int:
        """Takes tags away that nobody asked for in a long time; returns how many."""
        cached = select(RepositoryRow.id).where(RepositoryRow.project_id == NOBODYS)
        old = (TagRow.repository_id.in_(cached), TagRow.updated_at < self.clock.now() - FORGOTTEN)
        gone = len(session.scalars(select(TagRow.name).where(*old)).all())
        session.execute(delete(TagRow).where(*old).execution_options(synchronize_session=False))
        return gone

    def _needed(self, name: RepositoryName) -> Remote:
        remote = self.remote(name)
        if remote is None:
            raise Refusal(Reason.NAME_UNKNOWN, f"{name}: no such registry is cached here", detail={"name": name.text})
        return remote

    def _known(self, name: RepositoryName, reference: str) -> tuple[ManifestInfo | None, bool]:
        with self.database.read() as session:
            row = repository(session, name.text)
            if row is None:
                return None, False
            try:
                found = manifests.resolve(session, row, reference)
            except Refusal:
                return None, False
            tag = session.get(TagRow, (row.id, reference))
            return found, tag is None or tag.updated_at > self.clock.now() - self.fresh

    def _touch(self, name: RepositoryName, tag: str) -> None:
        with self.database.write() as session:
            row = repository(session, name.text)
            found = session.get(TagRow, (row.id, tag)) if row is not None else None
            if found is not None:
                found.updated_at = self.clock.now()

    def _keep_manifest(self, name: RepositoryName, reference: str, body: bytes, media_type: str) -> ManifestInfo:
        if ":" in reference and digest_of(body) != reference:
            raise Refusal(Reason.DIGEST_INVALID, f"{name}: the upstream sent other content for {reference}")
        with self.database.write() as session:
            return manifests.put(
                session,
                self._row(session, name),
                reference,
                body,
                content_type=media_type,
                store=self.store,
                clock=self.clock,
                whole=False,
            )

    def _row(self, session: Session, name: RepositoryName) -> RepositoryRow:
        return repositories.ensure_for(session, name, project_id=NOBODYS, clock=self.clock)

    def _passed_on(self, name: RepositoryName, digest: str, source: BinaryIO) -> Iterator[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"cache-{secrets.token_hex(12)}"
        state = hashlib.new(digest.partition(":")[0])
        try:
            with source, part.open("xb") as file:
                while piece := source.read(_PIECE):
                    file.write(piece)
                    state.update(piece)
                    yield piece
            if state.hexdigest() == digest.partition(":")[2]:  # else the client sees itself that it is wrong
                with self.database.write() as session:
                    row = self._row(session, name)
                    blobs.keep(session, self.store, digest, part.stat().st_size, part, clock=self.clock)
                    blobs.link(session, row, digest, clock=self.clock)
        finally:
            part.unlink(missing_ok=True)


def _as_refusal(fault: Fault, unknown: Reason) -> Fault:
    return Refusal(unknown, fault.message) if fault.kind is Kind.NOT_FOUND else fault
