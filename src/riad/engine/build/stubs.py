"""Mount points that a runtime makes where the image has none: they must not become part of the layer."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from riad.engine.build.tree import DirectoryTree, resolve


def missing_stubs(rootfs: Path, destinations: Iterable[str]) -> list[str]:
    """The host paths of those destinations, and of folders above them, that do not exist yet."""
    tree = DirectoryTree(rootfs)
    found: dict[str, None] = {}
    for destination in destinations:
        path = posixpath.normpath("/" + destination).strip("/")
        while path and resolve(tree, path) is None:
            parent = resolve(tree, posixpath.dirname(path))
            real = path if parent is None else posixpath.join(parent.path, posixpath.basename(path))
            found[f"{rootfs}/{real}"] = None
            path = posixpath.dirname(path)
    return list(found)


def remove_stubs(paths: Iterable[str]) -> None:
    """Removes those that are still empty, the deepest first; what a command has filled is its own."""
    for path in sorted(paths, key=lambda path: -path.count("/")):
        with suppress(OSError):
            if os.path.islink(path):
                continue
            if os.path.isdir(path):
                os.rmdir(path)
            elif os.path.getsize(path) == 0:
                os.unlink(path)
