"""What the engine keeps of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from riad.oci.config import ImageConfig
from riad.oci.digest import Digest
from riad.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Measure:
    """What a tar turned out to be: its digest, the bytes of its regular files, its own length in bytes."""

    diff_id: Digest
    size: int
    tar_size: int


@dataclass(frozen=True, slots=True)
class Layer:
    """`path` is the overlay lower directory; `size` the bytes of its regular files."""

    diff_id: Digest
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class Image:
    """`layers` are diff IDs, bottom first; `size` is the sum of theirs; `parent` only for images built here."""

    id: Digest
    config: ImageConfig
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    size: int
    added_at: datetime
    parent: Digest | None = None
    tagged_at: datetime | None = None

    @property
    def layers(self) -> tuple[Digest, ...]:
        return self.config.diff_ids

    @property
    def created(self) -> str:
        """RFC 3339 text of the configuration; "" where it has none."""
        return self.config.created


@dataclass(frozen=True, slots=True)
class ImageUser:
    """A container made of an image."""

    container_id: str
    running: bool


class Users(Protocol):
    def __call__(self, image: Digest) -> tuple[ImageUser, ...]: ...


Announce = Callable[[str, str, Mapping[str, str]], None]
"""Tells of an image event: action (`pull`, `tag`, `untag`, `delete`, …), image id or reference, attributes."""


def nobody(image: Digest) -> tuple[ImageUser, ...]:
    return ()


def silence(action: str, subject: str, attributes: Mapping[str, str]) -> None:
    return None
