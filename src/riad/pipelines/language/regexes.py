"""Regular expressions of the file (`/…/i`), in the dialect GitLab takes (RE2), matched in linear time.

RE2 promises that no pattern can hang the server; Python's `re` does not. So a pattern is parsed with Python's parser,
whatever RE2 refuses too (look-around, back-references) is refused, and the rest runs on a simulated automaton:
every character advances the set of possible states, so time is (pattern size × text size) at worst.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_STATES = 20_000
_LITERAL = re.compile(r"/(?P<source>(?:[^/\\]|\\.|/(?!\w*$))*)/(?P<flags>[ismU]*)", re.DOTALL)
_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE, "U": re.NOFLAG}


class BadRegexError(ValueError):
    """The pattern is not one; the message says why."""


def literal_problem(text: str) -> str | None:
    """What is wrong with `/pattern/flags`, or None."""
    try:
        literal(text)
    except BadRegexError as error:
        return str(error)
    return None


def is_literal(text: str) -> bool:
    return _LITERAL.fullmatch(text) is not None


def literal(text: str) -> Regex:
    """Compiles `/pattern/flags`. Raises BadRegexError."""
    found = _LITERAL.fullmatch(text)
    if found is None:
        raise BadRegexError("a pattern is written /…/, with flags i, m or s after it")
    flags = re.NOFLAG
    for letter in found["flags"]:
        flags |= _FLAGS[letter]
    return _compile(found["source"].replace("\\/", "/"), int(flags))


Test = Callable[[str], bool]


@dataclass(slots=True)
class _State:
    """One node: takes a character (`test`), asserts a position (`at`), or just leads on. `group` marks a capture."""

    test: Test | None = None
    at: Callable[[str, int], bool] | None = None
    mark: int | None = None
    next: list[int] = field(default_factory=list)


@lru_cache(maxsize=256)
def _compile(source: str, flags: int) -> Regex:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(source.replace("\\z", "\\Z").replace("\\h", "[0-9a-fA-F]"), flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRegexError(f"not a regular expression: {error}") from None
    return _Builder(tree.state.flags).build(tree)


class Regex:
    def __init__(self, states: list[_State], start: int, accept: int) -> None:
        self._states, self._start, self._accept = states, start, accept

    def matches(self, text: str) -> bool:
        """Whether the pattern occurs anywhere in `text`."""
        current: set[int] = set()
        for position in range(len(text) + 1):
            current.add(self._start)
            reached = self._closure(current, text, position)
            if self._accept in reached:
                return True
            if position == len(text):
                return False
            letter = text[position]
            current = {
                n
                for s in reached
                if (t := self._states[s].test) is not None and t(letter)
                for n in self._states[s].next
            }
        return False

    def _closure(self, states: set[int], text: str, position: int) -> set[int]:
        seen: set[int] = set()
        waiting = list(states)
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            state = self._states[number]
            if state.at is not None and not state.at(text, position):
                continue
            seen.add(number)
            if state.test is None:
                waiting.extend(state.next)
        return seen


class _Builder:
    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._states: list[_State] = []

    def build(self, tree: Any) -> Regex:
        accept = self._new()
        start = self._sequence(tree, accept, self._flags)
        return Regex(self._states, start, accept)

    def _new(self, **fields: Any) -> int:
        if len(self._states) >= MAX_STATES:
            raise BadRegexError("the pattern is too large once its repetitions are written out")
        self._states.append(_State(**fields))
        return len(self._states) - 1

    def _sequence(self, items: Any, then: int, flags: int) -> int:
        for op, argument in reversed(list(items)):
            then = self._item(op, argument, then, flags)
        return then

    def _item(self, op: Any, argument: Any, then: int, flags: int) -> int:
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            return self._new(test=_test(op, argument, flags), next=[then])
        if op is c.AT:
            return self._new(at=_position(argument, flags), next=[then])
        if op is c.BRANCH:
            return self._new(next=[self._sequence(branch, then, flags) for branch in argument[1]])
        if op is c.SUBPATTERN:
            _, add, drop, inner = argument
            return self._sequence(inner, then, (flags | add) & ~drop)
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            least, most, inner = argument
            return self._repeat(least, most, inner, then=then, flags=flags)
        raise BadRegexError(f"{str(op).lower().replace('_', ' ')} is not part of GitLab's dialect (RE2)")

    def _repeat(self, least: int, most: int, inner: Any, *, then: int, flags: int) -> int:
        if most is not c.MAXREPEAT and most > 1000:
            raise BadRegexError("repeated more than 1000 times")
        if most is c.MAXREPEAT:
            loop = self._new()
            self._states[loop].next = [self._sequence(inner, loop, flags), then]
            entry = loop
        else:
            entry = then
            for _ in range(most - least):
                entry = self._new(next=[self._sequence(inner, entry, flags), then])
        for _ in range(least):
            entry = self._sequence(inner, entry, flags)
        return entry


def _test(op: Any, argument: Any, flags: int) -> Test:
    if op is c.ANY:
        return (lambda letter: True) if flags & re.DOTALL else (lambda letter: letter != "\n")
    inner = _class(argument) if op is c.IN else (lambda letter: letter == chr(argument))
    if flags & re.IGNORECASE:
        plain = inner
        inner = lambda letter: plain(letter) or plain(letter.lower()) or plain(letter.upper())  # noqa: E731
    if op is c.NOT_LITERAL:
        return lambda letter: not inner(letter)
    return inner


def _class(items: Any) -> Test:
    negated = bool(items) and items[0][0] is c.NEGATE
    tests = [_class_item(op, argument) for op, argument in items if op is not c.NEGATE]
    return lambda letter: any(test(letter) for test in tests) is not negated


def _class_item(op: Any, argument: Any) -> Test:
    if op is c.LITERAL:
        return lambda letter: letter == chr(argument)
    if op is c.RANGE:
        return lambda letter: argument[0] <= ord(letter) <= argument[1]
    if op is c.CATEGORY and argument in _CATEGORIES:
        return _CATEGORIES[argument]
    raise BadRegexError(f"{str(op).lower()} is not supported in a character class")


def _is_word(letter: str) -> bool:
    return letter == "_" or (letter.isascii() and letter.isalnum())


def _is_digit(letter: str) -> bool:
    return letter.isascii() and letter.isdigit()


def _is_space(letter: str) -> bool:
    return letter in " \t\n\r\f\v"


_CATEGORIES: dict[Any, Test] = {
    c.CATEGORY_DIGIT: _is_digit,
    c.CATEGORY_NOT_DIGIT: lambda letter: not _is_digit(letter),
    c.CATEGORY_SPACE: _is_space,
    c.CATEGORY_NOT_SPACE: lambda letter: not _is_space(letter),
    c.CATEGORY_WORD: _is_word,
    c.CATEGORY_NOT_WORD: lambda letter: not _is_word(letter),
}


def _position(code: Any, flags: int) -> Callable[[str, int], bool]:
    multiline = bool(flags & re.MULTILINE)
    if code is c.AT_BEGINNING_STRING or (code is c.AT_BEGINNING and not multiline):
        return lambda text, at: at == 0
    if code is c.AT_BEGINNING:
        return lambda text, at: at == 0 or text[at - 1] == "\n"
    if code is c.AT_END_STRING or (code is c.AT_END and not multiline):
        return lambda text, at: at == len(text)
    if code is c.AT_END:
        return lambda text, at: at == len(text) or text[at] == "\n"
    if code is c.AT_BOUNDARY:
        return _at_boundary
    if code is c.AT_NON_BOUNDARY:
        return lambda text, at: not _at_boundary(text, at)
    raise BadRegexError("an unknown kind of position")


def _at_boundary(text: str, at: int) -> bool:
    before = at > 0 and _is_word(text[at - 1])
    after = at < len(text) and _is_word(text[at])
    return before != after
