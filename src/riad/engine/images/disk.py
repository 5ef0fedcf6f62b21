"""What layers take on disk: their directories as du counts them, and the archives that are kept beside them.

A layer never changes, so each is measured once; the first question after a start walks them all, in a thread.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from riad.engine.host.disk import on_disk
from riad.engine.images.layers import Layers
from riad.oci.digest import Digest


@dataclass(slots=True)
class LayerDisk:
    layers: Layers
    _known: dict[Path, int] = field(default_factory=dict)
    """By directory: a layer that goes and comes again gets another one."""

    async def measured(self) -> dict[Digest, int]:
        """Bytes of every layer that is here."""
        places = self.layers.places()
        fresh = [path for path, _ in places.values() if path not in self._known]
        if fresh:
            self._known.update(await asyncio.to_thread(_measure, fresh))
        return {
            digest: self._known.get(path, 0) + sum(on_disk(archive) for archive in archives)
            for digest, (path, archives) in places.items()
        }


def _measure(folders: list[Path]) -> dict[Path, int]:
    return {folder: on_disk(folder) for folder in folders}
