"""Which parts of a context a plan can use, so that only those are transferred. Pure.

A source with a variable counts as its folder up to there: what the variable comes to is known only while building.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from riad.dockerfile.instructions import Add, Copy, Instruction, Onbuild, Run
from riad.dockerfile.parse import parse_trigger
from riad.dockerfile.words import split
from riad.kernel.faults import Fault


def wanted_paths(instructions: Iterable[Instruction], *, escape: str = "\\") -> tuple[str, ...] | None:
    """Patterns from the context's root, sorted; None for all of it, empty for nothing."""
    found: set[str] = set()
    for instruction in instructions:
        for source in _sources(instruction, escape):
            path = _certain(source)
            if not path:
                return None
            found.add(path)
    return tuple(sorted(found))


def _sources(instruction: Instruction, escape: str) -> Iterable[str]:
    if isinstance(instruction, Onbuild):
        try:
            instruction = parse_trigger(instruction.trigger, escape)
        except Fault:
            return
    if isinstance(instruction, Copy) and not instruction.from_:
        yield from (s for s in instruction.sources if not (isinstance(instruction, Add) and _is_remote(s)))
    elif isinstance(instruction, Run):
        for mount in instruction.mounts:
            if mount.kind == "bind" and not mount.from_:
                yield mount.options.get("source", "")


def _is_remote(source: str) -> bool:
    return "://" in source or source.startswith("git@")


def _certain(source: str) -> str:
    """The part before the first variable, quotes and escapes away; "" for the root."""
    words = split(source)
    plain = words[0] if len(words) == 1 else source
    if "$" in plain or any(quote in plain for quote in "'\"\\"):
        head = plain
        for stop in "$'\"\\":
            head = head.partition(stop)[0]
        plain = posixpath.dirname(head)
    return posixpath.normpath("/" + plain).lstrip("/")
