"""`cache`: files that jobs hand on to later pipelines. Best effort: a missing cache is no failure.

The key's variables are expanded; `key:files` is a digest of those files' contents; protected and other branches do not
share (GitLab's rule), so that whoever may push to a branch cannot plant files for the default branch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from riad.pipelines import predefined
from riad.pipelines.expire import CACHES
from riad.pipelines.language.model import Cache
from riad.pipelines.runner.assignment import Assignment, Surroundings
from riad.pipelines.runner.parts import Parts


@dataclass(frozen=True, slots=True)
class CacheKey:
    shown: str
    blob: str


def key_of(parts: Parts, job: Assignment, around: Surroundings, cache: Cache) -> CacheKey:
    shown = around.expand(cache.key) or "default"
    if cache.key_files:
        contents = [parts.source.read_file(job.project.id, job.pipeline.sha, path) for path in cache.key_files]
        digest = hashlib.sha256(b"\0".join(c for c in contents if c is not None)).hexdigest()[:40]
        prefix = around.expand(cache.key_prefix)
        name = digest if any(c is not None for c in contents) else "default"
        shown = f"{prefix}-{name}" if prefix else name
    return _named(job, shown)


def _named(job: Assignment, shown: str) -> CacheKey:
    shown = f"{shown}-{'protected' if predefined.is_protected(job.pipeline.ref, job.project) else 'non_protected'}"
    return CacheKey(shown, f"{CACHES}/{job.project.id}/{hashlib.sha256(shown.encode()).hexdigest()}.zip")


def restored(parts: Parts, job: Assignment, around: Surroundings, say: Callable[[str], None]) -> list[str]:
    """The blobs to unpack."""
    found: list[str] = []
    for cache in job.plan.cache:
        if cache.policy == "push":
            continue
        keys = [key_of(parts, job, around, cache)]
        keys += [_named(job, around.expand(key)) for key in cache.fallback_keys]
        hit = next((key for key in keys if parts.blobs.size(key.blob) is not None), None)
        if hit is None:
            say(f"No cache for {keys[0].shown}")
        else:
            say(f"Restoring the cache {hit.shown}")
            parts.blobs.touch(hit.blob)
            found.append(hit.blob)
    return found
