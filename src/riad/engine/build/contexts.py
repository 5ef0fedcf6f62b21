"""Where a build's files come from: the port, and the context that a client sent as one tar.

The Dockerfile is read first; what its COPYs and mounts use is then known, and only that needs to come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from riad.dockerfile.ignore import IgnoreFile, parse_ignore
from riad.engine.build.tree import Kind, TarTree, Tree, resolve
from riad.kernel.faults import invalid

_LARGEST_DOCKERFILE = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Definition:
    """A Dockerfile as found: its name for messages, its bytes, and the ignore file that goes with it."""

    name: str
    content: bytes
    ignore: IgnoreFile


class Context(Protocol):
    """Asked once for the definition, then at most once for the tree."""

    async def definition(self) -> Definition:
        """Raises INVALID where there is no Dockerfile."""

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        """What is not ignored; at least what lies at the patterns `wanted` (from the root; None for everything)."""


class TarContext:
    """The context is here already, as one tar."""

    def __init__(self, tree: TarTree, dockerfile: str) -> None:
        self._tree = tree
        self._name = dockerfile

    async def definition(self) -> Definition:
        node = resolve(self._tree, self._name)
        if node is None or node.kind is not Kind.FILE:
            raise missing_dockerfile(self._name)
        check_size(self._name, node.size)
        return Definition(self._name, self._tree.read(node), self._ignore())

    async def tree(self, definition: Definition, wanted: tuple[str, ...] | None) -> Tree:
        return self._tree.without(definition.ignore)

    def _ignore(self) -> IgnoreFile:
        for name in ignore_names(self._name):
            node = resolve(self._tree, name)
            if node is not None and node.kind is Kind.FILE:
                return parse_ignore(self._tree.read(node).decode(errors="replace"))
        return IgnoreFile(())


def ignore_names(dockerfile: str) -> Iterable[str]:
    """`NAME.dockerignore` beside the Dockerfile comes first."""
    return (f"{dockerfile}.dockerignore", ".dockerignore")


def check_size(name: str, size: int) -> None:
    if size > _LARGEST_DOCKERFILE:
        raise invalid(f"{name} is larger than {_LARGEST_DOCKERFILE} bytes: that is no Dockerfile")


def missing_dockerfile(name: str) -> Exception:
    return invalid(f"Cannot locate specified Dockerfile: {name} is not in the build context")
