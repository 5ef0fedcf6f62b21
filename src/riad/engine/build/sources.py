"""Which files a COPY means, and the digest that stands for them in the cache.

The digest covers names, kinds, modes, links, contents and, where owners are kept, owners; never modification times: a
fresh checkout of the same files is the same source.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from riad.dockerfile.ignore import IgnoreFile, compile_pattern
from riad.engine.build.tree import DirectoryTree, Kind, Node, Tree, resolve, walk
from riad.kernel.faults import Fault, invalid

NOTHING = IgnoreFile(())
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to copy: `node` under the name it goes by at its target (a directory's own name is not used).

    `parent` is the path of folders to make for it at the target, with what they are in the source; "" for none.
    """

    node: Node
    name: str
    parent: str = ""
    folders: tuple[Node, ...] = ()


def find(tree: Tree, patterns: tuple[str, ...], *, keyword: str = "COPY", parents: bool = False) -> list[Source]:
    """Everything that `patterns` name, in their order. Raises INVALID for one that names nothing.

    With `parents` the folders that a pattern walks through come along, those behind `/./` where it has that.
    """
    found: list[Source] = []
    for pattern in patterns:
        if parents:
            found += _with_parents(tree, pattern, keyword)
            continue
        paths = _matches(tree, _relative(pattern))
        if not paths:
            raise _missing(tree, pattern, keyword)
        for path in paths:
            node = resolve(tree, path)
            if node is None:
                raise invalid(f"{keyword} failed: {path} is a symbolic link to something that does not exist")
            found.append(Source(node, posixpath.basename(path)))
    return found


def _with_parents(tree: Tree, pattern: str, keyword: str) -> list[Source]:
    pivot, dot, rest = pattern.partition("/./")
    top = _relative(pivot) if dot else ""
    below = _relative(rest if dot else pattern)
    paths = _matches(tree, posixpath.join(top, below), deep=True)
    if not paths:
        raise _missing(tree, pattern, keyword)
    found = []
    for path in paths:
        node = tree.lstat(path)
        if node is None:
            continue
        kept = posixpath.relpath(path, top) if top else path
        if node.kind is Kind.DIRECTORY:
            parent, name = "" if kept == "." else kept, ""
        else:
            parent, name = posixpath.split(kept)
        walked = [
            posixpath.join(top, *parent.split("/")[:depth])
            for depth in range(1, parent.count("/") + 2 if parent else 1)
        ]
        folders = tuple(node for node in map(tree.lstat, walked) if node is not None)
        found.append(Source(node, name or posixpath.basename(path), parent, folders))
    return found


def digest(tree: Tree, sources: Sequence[Source], *, owners: bool, exclude: IgnoreFile = NOTHING) -> str:
    """The digest of all that `sources` hold and `exclude` leaves."""
    state = hashlib.sha256()
    for source in sources:
        for relative, node in walk(tree, source.node):
            if exclude.patterns and exclude.excludes(relative or source.name):
                continue
            name = "" if source.node.kind is Kind.DIRECTORY else source.name
            content = tree.digest(node) if node.kind is Kind.FILE else node.link
            owner = (node.uid, node.gid) if owners else None
            xattrs = sorted(tree.xattrs(node).items()) if node.kind is Kind.FILE else ()
            if source.parent and not relative:
                state.update(repr((source.parent, [folder.mode for folder in source.folders])).encode())
            state.update(
                repr((name, relative, node.kind.value, node.mode, content, owner, node.device, xattrs)).encode()
            )
    return state.hexdigest()


def _relative(pattern: str) -> str:
    """From the tree's root; what leads above it stops there."""
    return posixpath.normpath("/" + pattern).lstrip("/")


def _matches(tree: Tree, pattern: str, *, deep: bool = False) -> list[str]:
    """With `deep`, `**` stands for any number of folders."""
    paths = [""]
    for part in pattern.split("/") if pattern else []:
        if deep and part == "**":
            paths = [
                posixpath.join(path, relative)
                for path in paths
                if (folder := resolve(tree, path)) is not None
                for relative, node in walk(tree, folder)
                if node.kind is Kind.DIRECTORY
            ]
            continue
        if not _WILD.intersection(part):
            paths = [
                posixpath.join(path, part)
                for path in paths
                if resolve(tree, posixpath.join(path, part), follow_last=False)
            ]
            continue
        matcher = compile_pattern(part)
        paths = [
            posixpath.join(path, name)
            for path in paths
            if (folder := resolve(tree, path)) is not None and folder.kind is Kind.DIRECTORY
            for name in tree.children(folder.path)
            if matcher.fullmatch(name)
        ]
    return paths


def _missing(tree: Tree, pattern: str, keyword: str) -> Fault:
    text = (
        f"{keyword} failed: file not found in build context or excluded by .dockerignore: "
        f"stat {pattern}: file does not exist"
    )
    if isinstance(tree, DirectoryTree):
        return invalid(f"{keyword} failed: {pattern} does not exist in the source image or stage")
    ignore = tree.ignore
    reason = ignore.deciding(_relative(pattern)) if not _WILD.intersection(pattern) else None
    matcher = compile_pattern(_relative(pattern))
    reason = reason or next((why for path, why in tree.ignored.items() if matcher.fullmatch(path)), None)
    return invalid(f'{text} ("{reason.text}" in line {reason.line} of .dockerignore excludes it)' if reason else text)
