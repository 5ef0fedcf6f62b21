"""Reads plain shapes (text, numbers, lists) from the tree; whatever has another shape becomes a finding."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from riad.pipelines.language import durations
from riad.pipelines.language.findings import Findings
from riad.pipelines.language.keywords import Vocabulary
from riad.pipelines.language.model import Variable
from riad.pipelines.language.yaml_source import Listing, Mapping, Node, Scalar, is_null

MAX_SCRIPT_NESTING = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A node with its path, and where findings about it go. `at("key")` is the place below."""

    node: Node
    path: str
    findings: Findings

    def at(self, key: str | int) -> Place | None:
        node = self.node
        if isinstance(node, Mapping) and isinstance(key, str):
            found = node.get(key)
            return None if found is None else Place(found, f"{self.path}/{key}", self.findings)
        return None

    def items(self) -> list[Place]:
        """The items of a list; a single value counts as a list of one."""
        if isinstance(self.node, Listing):
            return [Place(item, f"{self.path}/{i}", self.findings) for i, item in enumerate(self.node.items)]
        return [self]

    def wrong(self, message: str) -> None:
        self.findings.add(self.path, self.node.line, message)

    def check_keys(self, words: Vocabulary) -> bool:
        """Whether this is a mapping; its keys are checked against the vocabulary of this place."""
        if not isinstance(self.node, Mapping):
            self.wrong(f"must be a mapping of {', '.join(sorted(words.known))}")
            return False
        for key, entry in self.node.entries.items():
            if key in words.later:
                self.findings.unsupported(self.path, key, entry.line)
            elif key not in words.known:
                self.findings.unknown(self.path, key, entry.line, words.known | words.later)
        return True


def plain_text(value: object) -> str:
    """A plain value as GitLab turns it into text: true and false in small letters, numbers as they read."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(place: Place | None, default: str = "") -> str:
    if place is None:
        return default
    if isinstance(place.node, Scalar) and isinstance(place.node.value, str) and place.node.value:
        return place.node.value
    place.wrong("must be text")
    return default


def optional_text(place: Place | None) -> str | None:
    return None if place is None else text(place)


def choice(place: Place | None, options: Collection[str], default: str) -> str:
    value = text(place, default)
    if place is not None and value not in options:
        place.wrong(f"`{value}` is not one of {', '.join(sorted(options))}")
        return default
    return value


def flag(place: Place | None, *, default: bool = False) -> bool:
    if place is None:
        return default
    if isinstance(place.node, Scalar) and isinstance(place.node.value, bool):
        return place.node.value
    place.wrong("must be true or false")
    return default


def number(place: Place, *, least: int, most: int) -> int:
    value = place.node.value if isinstance(place.node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    place.wrong(f"must be a whole number from {least} to {most}")
    return least


def duration(place: Place) -> int | None:
    value = place.node.value if isinstance(place.node, Scalar) else None
    found = durations.seconds(plain_text(value)) if isinstance(value, str | int) else None
    if found is None or isinstance(value, bool):
        place.wrong("must be a length of time, such as `1h 30m` or `90 seconds`")
    return found


def texts(place: Place | None) -> tuple[str, ...]:
    """A list of texts (nested lists, as `!reference` leaves them, are flattened), or one text."""
    if place is None:
        return ()
    found: list[str] = []
    for item in place.items():
        if isinstance(item.node, Listing) and item is not place:
            found.extend(texts(item))
        elif isinstance(item.node, Scalar) and isinstance(item.node.value, str | int | float) and item.node.value != "":
            found.append(plain_text(item.node.value))
        else:
            item.wrong("must be text")
    return tuple(found)


def script(place: Place | None, depth: int = 0) -> tuple[str, ...]:
    """Commands: one text or a list of texts, nested at most ten deep."""
    if place is None:
        return ()
    if depth > MAX_SCRIPT_NESTING:
        place.wrong(f"nested deeper than {MAX_SCRIPT_NESTING} lists")
        return ()
    commands: list[str] = []
    for item in place.items():
        if isinstance(item.node, Listing) and item is not place:
            commands.extend(script(item, depth + 1))
        elif isinstance(item.node, Scalar) and isinstance(item.node.value, str):
            commands.append(item.node.value)
        else:
            item.wrong(_not_a_command(item.node))
    return tuple(commands)


def _not_a_command(node: Node) -> str:
    if isinstance(node, Mapping):
        return "must be a command; a command that holds `: ` has to be quoted, or YAML reads it as `key: value`"
    if is_null(node):
        return "this command is empty"
    return "must be a command as text (quote it)"


def command_words(place: Place | None) -> tuple[str, ...] | None:
    """An entrypoint or command: a list of words (one text counts as a list of one); None where it is not given."""
    if place is None:
        return None
    words: list[str] = []
    for item in place.items():
        if isinstance(item.node, Scalar) and isinstance(item.node.value, str):
            words.append(item.node.value)  # "" is meant: it resets an image's entrypoint
        else:
            item.wrong("must be text")
    return tuple(words)


def variables(place: Place | None, described: Vocabulary | None = None) -> tuple[Variable, ...]:
    """`KEY: value`, or with `described` also `KEY: {value, description, options, expand}`."""
    if place is None:
        return ()
    if not isinstance(place.node, Mapping):
        place.wrong("must be a mapping of names to values")
        return ()
    found = []
    for key in place.node.entries:
        below = Place(place.node.entries[key].node, f"{place.path}/{key}", place.findings)
        variable = _variable(key, below, described)
        if variable is not None:
            found.append(variable)
    return tuple(found)


def _variable(key: str, place: Place, described: Vocabulary | None) -> Variable | None:
    node = place.node
    if isinstance(node, Scalar):
        return Variable(key, "" if node.value is None else plain_text(node.value))
    if described is None or not isinstance(node, Mapping):
        place.wrong("must be text, a number, true or false")
        return None
    if not place.check_keys(described):
        return None
    value = place.at("value")
    if value is not None and not isinstance(value.node, Scalar):
        value.wrong("must be text, a number, true or false")
        return None
    options = texts(place.at("options"))
    plain = plain_text(value.node.value) if value is not None and isinstance(value.node, Scalar) else ""
    if options and value is not None and plain not in options:
        value.wrong(f"`{plain}` is not one of the options {', '.join(options)}")
    if value is None and options:
        plain = options[0]
    return Variable(key, plain, raw=not flag(place.at("expand"), default=True))
