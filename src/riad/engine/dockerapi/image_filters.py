"""The filters of `docker images` and `docker image prune`. Pure but for looking up the images that filters name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from riad.engine.dockerapi.filters import Filters, has_label
from riad.engine.dockerapi.image_shapes import created_at
from riad.engine.dockerapi.wire import parse_moment
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.kernel.faults import invalid
from riad.oci.reference import Reference

LIST_FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
PRUNE_FILTERS = ("dangling", "label", "label!", "until")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class ImageFilter:
    """What was asked for, with the images that `before` and `since` name looked up. Raises INVALID, NOT_FOUND."""

    def __init__(self, filters: Filters, images: Images, *, now: datetime) -> None:
        self._filters = filters
        self._until = [until(text, now) for text in filters.get("until")]
        self._before = [_created(images.get(name)) for name in filters.get("before")]
        self._since = [_created(images.get(name)) for name in filters.get("since")]
        self._dangling = filters.flag("dangling")

    def keeps(self, image: Image) -> bool:
        created, labels = _created(image), image.config.config.labels
        return (
            (self._dangling is None or self._dangling == (not image.tags))
            and all(created < limit for limit in (*self._until, *self._before))
            and all(created > limit for limit in self._since)
            and self._filters.labels(labels)
            and not any(has_label(labels, unwanted) for unwanted in self._filters.get("label!"))
            and ("reference" not in self._filters or bool(self.tags(image)) or self._digest(image))
        )

    def tags(self, image: Image) -> Sequence[Reference]:
        """Only the tags that a `reference` filter matches."""
        patterns = self._filters.get("reference")
        return [tag for tag in image.tags if not patterns or any(matches(tag, pattern) for pattern in patterns)]

    def _digest(self, image: Image) -> bool:
        patterns = self._filters.get("reference")
        return any(matches(name, pattern) for name in image.digests for pattern in patterns)


def matches(reference: Reference, pattern: str) -> bool:
    """Whether a pattern with `*`, `?` and `[…]`, none of which crosses a slash, is the name, with or without tag."""
    regex = _glob(pattern)
    return any(
        regex.fullmatch(text)
        for text in (reference.familiar, reference.familiar_repository, str(reference), reference.repository)
    )


def until(text: str, now: datetime) -> datetime:
    """A moment, or a Go duration (`24h`, `1h30m`) before `now`. Raises INVALID."""
    if _DURATION.fullmatch(text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        return now - timedelta(seconds=seconds)
    at = parse_moment(text, name="until")
    if at is None:
        raise invalid(f"until: {text!r} is neither a moment nor a duration such as 24h")
    return at


def _created(image: Image) -> datetime:
    return created_at(image.created) or image.added_at


@lru_cache(64)
def _glob(pattern: str) -> re.Pattern[str]:
    translated = re.sub(r"\\\*", "[^/]*", re.sub(r"\\\?", "[^/]", re.escape(pattern)))
    return re.compile(re.sub(r"\\\[(.+?)\\\]", lambda found: f"[{found[1]}]", translated))
