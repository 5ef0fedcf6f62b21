"""YAML as a tree that remembers its lines.

YAML 1.1 as GitLab's parser reads it: anchors, aliases, `<<` merge keys (the mapping's own keys win, of several merged
mappings the first wins), and the one local tag `!reference [job, key, …]`. Of a key given twice the last counts.
A tree is immutable, so an alias costs nothing; its size counts as if it had been written out, and is bounded. So is its
depth, before a tree is made of it: libyaml's composer calls itself for each level, and a stack that overflows there
ends the whole process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from riad.kernel.faults import Fault, Finding, invalid

MAX_DEPTH = 100
MAX_NODES = 50_000
MAX_BYTES = 1024 * 1024

Plain = str | int | float | bool | None


class Line(int):
    """A line, from 1, that also knows which included file it is in ("" is the pipeline's own file)."""

    file: str = ""

    @classmethod
    def of(cls, mark: Any, file: str) -> Line:
        """`mark` is one of PyYAML's two kinds, or None for the first line."""
        line = cls(mark.line + 1 if mark is not None else 1)
        line.file = file
        return line


@dataclass(frozen=True, slots=True)
class Scalar:
    value: Plain
    line: Line


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Node, ...]
    line: Line


@dataclass(frozen=True, slots=True)
class Entry:
    """The value below a key, and the key's own line."""

    line: Line
    node: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: dict[str, Entry]
    line: Line

    def get(self, key: str) -> Node | None:
        """The value, or None where the key is missing or null (null is how a key is taken back)."""
        entry = self.entries.get(key)
        return None if entry is None or is_null(entry.node) else entry.node


@dataclass(frozen=True, slots=True)
class Reference:
    path: tuple[str, ...]
    line: Line


Node = Scalar | Listing | Mapping | Reference


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def parse(text: str | bytes, file: str = "") -> Mapping:
    """Reads one YAML document whose top is a mapping. Raises INVALID with one finding that has a line."""
    if len(text) > MAX_BYTES:
        raise _wrong(Line.of(None, file), f"the file is larger than {MAX_BYTES} bytes")
    try:
        _refuse_deep(text, file)
        documents = list(yaml.compose_all(text, Loader=_Loader))
        if len(documents) > 1:
            line = Line.of(documents[1].start_mark if documents[1] is not None else None, file)
            raise _wrong(line, "riad does not support a second document (`spec:inputs` and `---`) yet")
        top = _Converter(file).convert(documents[0]) if documents and documents[0] is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _wrong(Line.of(mark, file), f"not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        raise _wrong(Line.of(None, file), f"not YAML: {error.reason} at position {error.position}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise _wrong(Line.of(None, file), f"not YAML: {error}") from None
    if not isinstance(top, Mapping):
        raise _wrong(top.line if top else Line.of(None, file), "the top of the file must be `key: value` pairs")
    return top


def _refuse_deep(text: str | bytes, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _wrong(Line.of(event.start_mark, file), f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _wrong(line: Line, message: str) -> Fault:
    finding = Finding(line.file, message, line)
    return invalid(str(finding), finding)


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_plain = yaml.SafeLoader("")
_SIMPLE = {
    "tag:yaml.org,2002:null": lambda node: None,
    "tag:yaml.org,2002:bool": _plain.construct_yaml_bool,
    "tag:yaml.org,2002:int": _plain.construct_yaml_int,
    "tag:yaml.org,2002:float": _plain.construct_yaml_float,
}
_MERGE = "tag:yaml.org,2002:merge"


class _Converter:
    def __init__(self, file: str) -> None:
        self._file = file
        self._done: dict[int, tuple[Node, int]] = {}
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        return self._visit(node)[0]

    def _visit(self, node: yaml.Node) -> tuple[Node, int]:
        known = self._done.get(id(node))
        if known is None:
            line = Line.of(node.start_mark, self._file)
            if id(node) in self._open:
                raise _wrong(line, "an anchor contains itself")
            self._open.add(id(node))
            known = self._build(node, line)
            self._open.discard(id(node))
            if known[1] > MAX_NODES:
                raise _wrong(line, f"more than {MAX_NODES} values once anchors are written out")
            self._done[id(node)] = known
        return known

    def _build(self, node: yaml.Node, line: Line) -> tuple[Node, int]:
        if node.tag.startswith("!") and node.tag != "!reference":
            raise _wrong(line, f"unknown tag {node.tag} (GitLab knows only !reference)")
        if node.tag == "!reference":
            return self._reference(node, line), 1
        if isinstance(node, yaml.ScalarNode):
            return Scalar(_SIMPLE.get(node.tag, lambda n: n.value)(node), line), 1
        if isinstance(node, yaml.SequenceNode):
            pairs = [self._visit(child) for child in node.value]
            return Listing(tuple(item for item, _ in pairs), line), 1 + sum(size for _, size in pairs)
        return self._mapping(node, line)

    def _reference(self, node: yaml.Node, line: Line) -> Reference:
        parts = (
            [c.value for c in node.value if isinstance(c, yaml.ScalarNode)]
            if isinstance(node, yaml.SequenceNode)
            else []
        )
        if not parts or len(parts) != len(node.value):
            raise _wrong(line, "!reference takes a list of keys, such as !reference [.setup, script]")
        return Reference(tuple(parts), line)

    def _mapping(self, node: yaml.Node, line: Line) -> tuple[Node, int]:
        merged: dict[str, Entry] = {}
        own: dict[str, Entry] = {}
        total = 1
        for key, value in node.value:
            child, size = self._visit(value)
            total += 1 + size
            if key.tag == _MERGE:
                for source in self._merge_sources(child):
                    for name, entry in source.entries.items():
                        merged.setdefault(name, entry)
            elif not isinstance(key, yaml.ScalarNode):
                raise _wrong(Line.of(key.start_mark, self._file), "a key must be plain text")
            else:
                own[key.value] = Entry(Line.of(key.start_mark, self._file), child)
        return Mapping({**merged, **own}, line), total

    def _merge_sources(self, node: Node) -> Iterator[Mapping]:
        for source in node.items if isinstance(node, Listing) else (node,):
            if not isinstance(source, Mapping):
                raise _wrong(node.line, "`<<` takes a mapping or a list of mappings")
            yield source
