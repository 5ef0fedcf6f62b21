"""The build cache as its users see it: one record for each kept step and each cache mount, and which of them a prune
takes. The choice is pure; dockerd's words and rules (builder-next of moby).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from riad.engine.build.cache import Cache
from riad.engine.build.solve import Builder
from riad.engine.host.disk import on_disk
from riad.engine.images.layers import Layers
from riad.oci.digest import Digest

STEP, MOUNT = "regular", "exec.cachemount"
_ID = 25
"""Characters of a key that make an id: enough to be unique, few enough to be typed."""


@dataclass(frozen=True, slots=True)
class Record:
    """`size` is what the disk gives, 0 where another record counts the layer; `shared`: an image has the layer, too."""

    key: str
    kind: str
    description: str
    size: int
    in_use: bool
    shared: bool
    created: datetime
    used_at: datetime
    uses: int

    @property
    def id(self) -> str:
        return self.key[:_ID]


async def records(
    cache: Cache, builder: Builder, layers: Layers, *, sizes: Mapping[Digest, int], alone: frozenset[Digest]
) -> list[Record]:
    """All of them; `sizes` of layers on disk, `alone` those that only the cache holds."""
    counted: set[str] = set()
    found = []
    for entry in cache.entries():
        layer = Digest(entry.layer)
        size = 0 if entry.layer in counted else sizes.get(layer, 0)
        counted.add(entry.layer)
        found.append(
            Record(
                key=entry.key,
                kind=STEP,
                description=entry.description,
                size=size,
                in_use=layers.pinned(layer),
                shared=layer not in alone,
                created=entry.created,
                used_at=entry.used_at,
                uses=entry.uses,
            )
        )
    for folder, busy in builder.cache_mounts():
        with contextlib.suppress(FileNotFoundError):  # taken away meanwhile
            found.append(await asyncio.to_thread(_mount, folder, busy=busy))
    return found


def _mount(folder: Path, *, busy: bool) -> Record:
    status = folder.stat()
    return Record(
        key=folder.name,
        kind=MOUNT,
        description=f"cached mount {folder.name}",
        size=on_disk(folder),
        in_use=busy,
        shared=False,
        created=datetime.fromtimestamp(status.st_ctime, UTC),
        used_at=datetime.fromtimestamp(status.st_mtime, UTC),
        uses=1,
    )


@dataclass(frozen=True, slots=True)
class PruneWish:
    """`everything`: also what images share. `keep`: bytes to leave, the most recently used. None asks for nothing."""

    everything: bool = False
    unused_since: datetime | None = None
    keep: int = 0
    id: str | None = None
    kind: str | None = None
    description: str | None = None
    shared: bool | None = None
    in_use: bool | None = None
    nothing: bool = False
    """A filter that no record can pass, such as one for labels, which records do not have."""


def chosen(found: Sequence[Record], wish: PruneWish) -> list[Record]:
    """What goes, the least recently used first; never what is in use."""
    rules: list[Callable[[Record], bool]] = [
        lambda record: not record.in_use and not wish.nothing,
        lambda record: wish.everything or not record.shared,
        lambda record: wish.unused_since is None or record.used_at < wish.unused_since,
        lambda record: wish.id is None or re.search(wish.id, record.id) is not None,
        lambda record: wish.kind in (None, record.kind),
        lambda record: wish.description in (None, record.description),
        lambda record: wish.shared in (None, record.shared),
        lambda record: wish.in_use in (None, record.in_use),
    ]
    candidates = sorted((r for r in found if all(rule(r) for rule in rules)), key=lambda record: record.used_at)
    if not wish.keep:
        return candidates
    left, doomed = sum(record.size for record in found), []
    for record in candidates:
        if left <= wish.keep:
            break
        doomed.append(record)
        left -= record.size
    return doomed
