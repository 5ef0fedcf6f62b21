"""The layers that one build uses: nothing takes them away before it ends."""

from __future__ import annotations

from riad.engine.images.layers import Layers
from riad.oci.digest import Digest


class Pins:
    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._pinned: list[Digest] = []

    def add(self, diff_id: Digest) -> None:
        self._layers.pin(diff_id)
        self._pinned.append(diff_id)

    def take_over(self, diff_id: Digest) -> None:
        """A layer that was pinned when it was made."""
        self._pinned.append(diff_id)

    def release(self) -> None:
        for diff_id in self._pinned:
            self._layers.unpin(diff_id)
        self._pinned.clear()
