"""A root file system becomes an image of one layer (`import`); a container's changes become one more (`commit`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from riad.engine.images.changes import apply_changes
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.oci.config import ContainerConfig, History, ImageConfig
from riad.oci.platform import Platform, host_platform
from riad.oci.reference import Reference


async def import_image(
    images: Images,
    archive: BinaryIO,
    *,
    source: str = "-",
    reference: Reference | None = None,
    message: str = "",
    changes: Sequence[str] = (),
    platform: Platform | None = None,
) -> Image:
    """Raises INVALID for a bad change or archive; nothing remains then."""
    config = apply_changes(ContainerConfig(), changes)
    layer = await images.layers.import_tar(archive)
    comment = message or f"Imported from {source}"
    created = timestamp(images.clock.now())
    made = ImageConfig(
        config=config,
        created=created,
        comment=comment,
        platform=platform or host_platform(),
        history=(History(created=created, comment=comment),),
    )
    image = images.create(made, [layer], [reference] if reference else [])
    images.announce("import", image.id, {"name": reference.with_default_tag().familiar if reference else image.id})
    return image


async def commit_image(
    images: Images,
    base: Image | None,
    upperdir: Path,
    config: ContainerConfig,
    *,
    command: str = "",
    reference: Reference | None = None,
    author: str = "",
    comment: str = "",
) -> Image:
    """Makes an image of `base` and a copy of a container's upper directory, which is given away with the call.

    `config` is the container's own, changes already applied; `command` is what the history shows.
    """
    below = images.layers.of(base.id) if base else []
    for layer in below:
        images.layers.pin(layer.diff_id)
    try:
        added = await images.layers.adopt(upperdir, below[-1] if below else None)
    except BaseException:
        for layer in below:
            images.layers.unpin(layer.diff_id)
        raise
    created = timestamp(images.clock.now())
    step = History(created=created, created_by=command, author=author, comment=comment)
    before = base.config if base else ImageConfig()
    made = replace(
        before, config=config, created=created, author=author, comment=comment, history=(*before.history, step)
    )
    image = images.create(made, [*below, added], [reference] if reference else [], parent=base.id if base else None)
    if reference:
        images.announce("tag", image.id, {"name": reference.with_default_tag().familiar})
    return image


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, as image configurations have it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
