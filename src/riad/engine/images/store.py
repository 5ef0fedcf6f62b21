"""The SQL of images and layers. Every function is one short statement or transaction on the engine's state.

A layer directory is named by its row's number, because overlayfs' mount options are short; no number is used twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from riad.engine.state import State
from riad.oci.digest import Digest
from riad.oci.reference import Reference, parse_reference

SCHEMA = (
    """
    CREATE TABLE layer (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        diff_id TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        tar_size INTEGER NOT NULL,
        ours INTEGER NOT NULL
    );
    CREATE TABLE layer_hold (
        owner TEXT NOT NULL,
        diff_id TEXT NOT NULL REFERENCES layer (diff_id),
        PRIMARY KEY (owner, diff_id)
    ) WITHOUT ROWID;
    CREATE TABLE layer_blob (
        diff_id TEXT NOT NULL REFERENCES layer (diff_id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (diff_id, digest)
    ) WITHOUT ROWID;
    CREATE TABLE blob_place (
        digest TEXT NOT NULL,
        repository TEXT NOT NULL,
        PRIMARY KEY (digest, repository)
    ) WITHOUT ROWID;
    CREATE TABLE image (
        id TEXT PRIMARY KEY,
        config BLOB NOT NULL,
        size INTEGER NOT NULL,
        added_at TEXT NOT NULL,
        tagged_at TEXT,
        parent TEXT,
        removed INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX image_parent ON image (parent);
    CREATE TABLE image_layer (
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        diff_id TEXT NOT NULL REFERENCES layer (diff_id),
        PRIMARY KEY (image, position)
    ) WITHOUT ROWID;
    CREATE INDEX image_layer_diff_id ON image_layer (diff_id);
    CREATE TABLE image_tag (
        reference TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE INDEX image_tag_image ON image_tag (image);
    CREATE TABLE image_digest (
        repository TEXT NOT NULL,
        digest TEXT NOT NULL,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;
    CREATE INDEX image_digest_image ON image_digest (image);
    CREATE TABLE image_manifest (
        digest TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX image_manifest_image ON image_manifest (image);
    """,
)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """`size` counts the files, `tar_size` the uncompressed tar, in bytes.

    `ours`: packing the directory gives the bytes of the diff ID; a stranger's tar has to be kept instead.
    """

    number: int
    diff_id: Digest
    size: int
    tar_size: int
    ours: bool


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A form that a layer has been pulled, loaded or pushed in. Its file is kept where the layer is not ours."""

    diff_id: Digest
    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ManifestRow:
    digest: Digest
    media_type: str
    body: bytes


class ImageStore:
    def __init__(self, state: State) -> None:
        self._state = state
        state.migrate("images", SCHEMA)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._state.transaction()

    def _all(self, query: str, *values: object) -> list[sqlite3.Row]:
        return self._state.connection.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._state.connection.execute(query, values).fetchone()
        return row

    def _do(self, query: str, *values: object) -> int:
        with self._state.transaction() as sql:
            return sql.execute(query, values).rowcount

    # Layers

    def add_layer(self, diff_id: Digest, size: int, tar_size: int, *, ours: bool) -> int:
        with self._state.transaction() as sql:
            return int(
                sql.execute(
                    "INSERT INTO layer (diff_id, size, tar_size, ours) VALUES (?, ?, ?, ?) RETURNING number",
                    (diff_id, size, tar_size, ours),
                ).fetchone()["number"]
            )

    def layer(self, diff_id: str) -> LayerRow | None:
        row = self._one("SELECT * FROM layer WHERE diff_id = ?", diff_id)
        return None if row is None else _layer(row)

    def layers(self) -> list[LayerRow]:
        return [_layer(row) for row in self._all("SELECT * FROM layer")]

    def layers_of(self, image: str) -> list[LayerRow]:
        query = "SELECT l.* FROM image_layer i JOIN layer l USING (diff_id) WHERE i.image = ? ORDER BY i.position"
        return [_layer(row) for row in self._all(query, image)]

    def unused_layers(self) -> list[LayerRow]:
        query = """
            SELECT * FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)
            AND diff_id NOT IN (SELECT diff_id FROM layer_hold)
        """
        return [_layer(row) for row in self._all(query)]

    def layer_uses(self) -> dict[Digest, int]:
        """How many images have each layer."""
        query = "SELECT diff_id, count(DISTINCT image) AS uses FROM image_layer GROUP BY diff_id"
        return {Digest(row["diff_id"]): row["uses"] for row in self._all(query)}

    def layer_digests(self) -> dict[str, Digest]:
        """The diff ID by itself and by each digest of its compressed forms."""
        query = "SELECT diff_id AS digest, diff_id FROM layer UNION ALL SELECT digest, diff_id FROM layer_blob"
        return {row["digest"]: Digest(row["diff_id"]) for row in self._all(query)}

    def remove_layer(self, diff_id: str) -> None:
        self._do("DELETE FROM layer WHERE diff_id = ?", diff_id)

    def hold(self, owner: str, diff_ids: Iterable[str]) -> None:
        with self._state.transaction() as sql:
            sql.executemany("INSERT OR IGNORE INTO layer_hold VALUES (?, ?)", [(owner, one) for one in diff_ids])

    def release(self, owner: str) -> None:
        self._do("DELETE FROM layer_hold WHERE owner = ?", owner)

    def owners(self) -> list[str]:
        return [row["owner"] for row in self._all("SELECT DISTINCT owner FROM layer_hold")]

    # Compressed forms

    def add_blob(self, blob: BlobRow) -> None:
        self._do(
            "INSERT OR IGNORE INTO layer_blob VALUES (?, ?, ?, ?)",
            blob.diff_id,
            blob.digest,
            blob.media_type,
            blob.size,
        )

    def blobs_of(self, diff_id: str) -> list[BlobRow]:
        return [_blob(row) for row in self._all("SELECT * FROM layer_blob WHERE diff_id = ?", diff_id)]

    def blob(self, digest: str) -> BlobRow | None:
        row = self._one("SELECT * FROM layer_blob WHERE digest = ?", digest)
        return None if row is None else _blob(row)

    def blob_digests(self) -> set[str]:
        return {row["digest"] for row in self._all("SELECT digest FROM layer_blob")}

    def add_place(self, digest: str, repository: str) -> None:
        self._do("INSERT OR IGNORE INTO blob_place VALUES (?, ?)", digest, repository)

    def places(self, digest: str) -> list[str]:
        return [row["repository"] for row in self._all("SELECT repository FROM blob_place WHERE digest = ?", digest)]

    # Images

    def add_image(
        self, image: Digest, config: bytes, diff_ids: Sequence[Digest], *, size: int, at: datetime, parent: str | None
    ) -> None:
        with self._state.transaction() as sql:
            added = sql.execute(
                "INSERT OR IGNORE INTO image (id, config, size, added_at, parent) VALUES (?, ?, ?, ?, ?)",
                (image, config, size, at.isoformat(), parent),
            ).rowcount
            sql.execute("UPDATE image SET removed = 0 WHERE id = ?", (image,))
            if added:
                rows = [(image, position, diff_id) for position, diff_id in enumerate(diff_ids)]
                sql.executemany("INSERT INTO image_layer VALUES (?, ?, ?)", rows)

    def image(self, image: str) -> sqlite3.Row | None:
        return self._one("SELECT * FROM image WHERE id = ?", image)

    def images(self) -> list[sqlite3.Row]:
        return self._all("SELECT * FROM image WHERE NOT removed")

    def removed_images(self) -> list[Digest]:
        return [Digest(row["id"]) for row in self._all("SELECT id FROM image WHERE removed")]

    def ids_starting(self, prefix: str) -> list[str]:
        query = "SELECT id FROM image WHERE id >= ? AND id < ? AND NOT removed LIMIT 2"
        return [row["id"] for row in self._all(query, f"sha256:{prefix}", f"sha256:{prefix}g")]

    def children(self, image: str) -> list[str]:
        return [row["id"] for row in self._all("SELECT id FROM image WHERE parent = ? AND NOT removed", image)]

    def parents(self) -> set[str]:
        query = "SELECT DISTINCT parent FROM image WHERE parent IS NOT NULL AND NOT removed"
        return {row["parent"] for row in self._all(query)}

    def remove_image(self, image: str) -> None:
        self._do("DELETE FROM image WHERE id = ?", image)

    def hide_image(self, image: str) -> None:
        """Takes all names and marks it as removed: only what was made of it still finds it, by its id."""
        with self._state.transaction() as sql:
            for table in ("image_tag", "image_digest"):
                sql.execute(f"DELETE FROM {table} WHERE image = ?", (image,))  # noqa: S608 -- names from here
            sql.execute("UPDATE image SET removed = 1 WHERE id = ?", (image,))

    # Names

    def set_tag(self, reference: Reference, image: str, *, at: datetime) -> None:
        with self._state.transaction() as sql:
            sql.execute("INSERT OR REPLACE INTO image_tag VALUES (?, ?)", (str(reference), image))
            sql.execute("UPDATE image SET tagged_at = ? WHERE id = ?", (at.isoformat(), image))

    def remove_tag(self, reference: Reference) -> bool:
        return self._do("DELETE FROM image_tag WHERE reference = ?", str(reference)) > 0

    def tagged(self, reference: Reference) -> str | None:
        row = self._one("SELECT image FROM image_tag WHERE reference = ?", str(reference))
        return None if row is None else str(row["image"])

    def tags(self, image: str) -> list[Reference]:
        query = "SELECT reference FROM image_tag WHERE image = ? ORDER BY reference"
        return [parse_reference(row["reference"]) for row in self._all(query, image)]

    def tags_in(self, repository: str) -> list[Reference]:
        query = "SELECT reference FROM image_tag WHERE reference >= ? AND reference < ? ORDER BY reference"
        return [parse_reference(row["reference"]) for row in self._all(query, f"{repository}:", f"{repository};")]

    def set_digest(self, repository: str, digest: Digest, image: str) -> None:
        self._do("INSERT OR REPLACE INTO image_digest VALUES (?, ?, ?)", repository, digest, image)

    def remove_digest(self, repository: str, digest: str) -> bool:
        return self._do("DELETE FROM image_digest WHERE repository = ? AND digest = ?", repository, digest) > 0

    def with_digest(self, repository: str, digest: str) -> str | None:
        row = self._one("SELECT image FROM image_digest WHERE repository = ? AND digest = ?", repository, digest)
        return None if row is None else str(row["image"])

    def digests(self, image: str) -> list[Reference]:
        query = "SELECT repository || '@' || digest AS name FROM image_digest WHERE image = ? ORDER BY name"
        return [parse_reference(row["name"]) for row in self._all(query, image)]

    # Manifests as they came or went

    def add_manifest(self, manifest: ManifestRow, image: str) -> None:
        self._do(
            "INSERT OR REPLACE INTO image_manifest VALUES (?, ?, ?, ?)",
            manifest.digest,
            image,
            manifest.media_type,
            manifest.body,
        )

    def manifests(self, image: str) -> list[ManifestRow]:
        rows = self._all("SELECT * FROM image_manifest WHERE image = ? ORDER BY rowid DESC", image)
        return [ManifestRow(Digest(row["digest"]), row["media_type"], row["body"]) for row in rows]


def _layer(row: sqlite3.Row) -> LayerRow:
    return LayerRow(row["number"], Digest(row["diff_id"]), row["size"], row["tar_size"], bool(row["ours"]))


def _blob(row: sqlite3.Row) -> BlobRow:
    return BlobRow(Digest(row["diff_id"]), Digest(row["digest"]), row["media_type"], row["size"])
