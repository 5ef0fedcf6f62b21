"""The images that this engine has: found by name, digest or id as Docker finds them, made, tagged, listed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from riad.engine.images.layers import Layers
from riad.engine.images.model import Announce, Image, Layer, Users, nobody, silence
from riad.engine.images.store import ImageStore
from riad.engine.state import State
from riad.kernel.clock import Clock, SystemClock
from riad.kernel.faults import Fault, invalid, not_found
from riad.oci.config import ImageConfig, parse_image_config
from riad.oci.digest import Digest, digest_of
from riad.oci.reference import Reference, parse_reference

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


class Images:
    """Call from the event loop's thread. `users` and `announce` may be set after construction by the daemon."""

    def __init__(
        self,
        state: State,
        root: Path,
        *,
        clock: Clock | None = None,
        users: Users = nobody,
        announce: Announce = silence,
    ) -> None:
        self.store = ImageStore(state)
        self.layers = Layers(self.store, root)
        self.clock: Clock = clock or SystemClock()
        self.users = users
        self.announce = announce

    def get(self, name: str) -> Image:
        """By reference, by digest, by id or by a unique beginning of an id. Raises NOT_FOUND as Docker words it."""
        found = self.find(name)
        if found is None:
            raise not_found(f"No such image: {_spoken(name)}")
        return found

    def find(self, name: str) -> Image | None:
        """As `get`, None where there is none. A tag wins over an id that begins the same."""
        image = self._by_reference(name) or self._by_id(name)
        return None if image is None else self.by_id(image)

    def by_id(self, image: str) -> Image:
        """By the whole id, also one that was removed by force while a stopped container needs it."""
        row = self.store.image(image)
        if row is None:
            raise not_found(f"No such image: {image}")
        return self._image(row)

    def all(self) -> list[Image]:
        """All images, the newest first."""
        return sorted(map(self._image, self.store.images()), key=lambda image: image.created, reverse=True)

    def layer_paths(self, image: Image) -> list[Path]:
        """The overlay lower directories, bottom first."""
        return [layer.path for layer in self.layers.of(image.id)]

    def create(
        self,
        config: ImageConfig,
        layers: Sequence[Layer],
        tags: Sequence[Reference] = (),
        *,
        parent: Digest | None = None,
    ) -> Image:
        """Makes an image of `layers` (bottom first), whose pins it takes over, and names it."""
        full = replace(config, diff_ids=tuple(layer.diff_id for layer in layers))
        image = self.add(full.encode(), tags=tags, parent=parent)
        for layer in layers:
            self.layers.unpin(layer.diff_id)
        return image

    def add(self, config: bytes, *, tags: Sequence[Reference] = (), parent: Digest | None = None) -> Image:
        """Takes an image whose layers are all here by the exact bytes of its configuration. An image that is here
        already only gets the new names. Raises NOT_FOUND for a missing layer.
        """
        image, diff_ids = digest_of(config), parse_image_config(config).diff_ids
        size = sum(self.layers.get(diff_id).size for diff_id in diff_ids)
        with self.store.transaction():
            self.store.add_image(image, config, diff_ids, size=size, at=self.clock.now(), parent=parent)
            for reference in tags:
                self.store.set_tag(reference.with_default_tag(), image, at=self.clock.now())
        return self.by_id(image)

    def tag(self, image: Image, reference: Reference) -> None:
        """Moves the name to `image`. Raises INVALID for a digest."""
        if reference.digest is not None:
            raise invalid("refusing to create a tag with a digest reference")
        named = reference.with_default_tag()
        self.store.set_tag(named, image.id, at=self.clock.now())
        self.announce("tag", image.id, {"name": named.familiar})

    async def collect(self) -> int:
        """Frees what nothing needs any more: removed images that no container uses, layers; returns the bytes."""
        for image in self.store.removed_images():
            if not self.users(image):
                self.store.remove_image(image)
        return await self.layers.collect()

    def config_bytes(self, image: Digest) -> bytes:
        row = self.store.image(image)
        if row is None:
            raise not_found(f"No such image: {image}")
        return bytes(row["config"])

    def _by_reference(self, name: str) -> str | None:
        try:
            reference = parse_reference(name)
        except Fault:
            return None
        if reference.digest is None:
            return self.store.tagged(reference.with_default_tag())
        return self.store.with_digest(reference.repository, reference.digest)

    def _by_id(self, name: str) -> str | None:
        match = _ID.fullmatch(name)
        if match is None:
            return None
        found = self.store.ids_starting(match[1])
        if len(found) > 1:
            raise invalid(f"image ID {name} is ambiguous: write more of it")
        return found[0] if found else None

    def _image(self, row: sqlite3.Row) -> Image:
        image = Digest(row["id"])
        return Image(
            id=image,
            config=parse_image_config(row["config"]),
            tags=tuple(self.store.tags(image)),
            digests=tuple(self.store.digests(image)),
            size=row["size"],
            added_at=datetime.fromisoformat(row["added_at"]),
            parent=Digest(row["parent"]) if row["parent"] else None,
            tagged_at=datetime.fromisoformat(row["tagged_at"]) if row["tagged_at"] else None,
        )


def _spoken(name: str) -> str:
    """The name with the tag it was looked up under, as Docker's message has it."""
    try:
        return parse_reference(name).with_default_tag().familiar
    except Fault:
        return name
