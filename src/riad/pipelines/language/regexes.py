"""Regular expressions of the file (`/…/i`), in the dialect GitLab takes (RE2), matched in linear time.

RE2 promises that no pattern can hang the server; Python's `re` does not. So a pattern is parsed with Python's parser,
whatever RE2 refuses too (look-around, back-references) is refused, and the rest runs on a simulated automaton:
every character advances the set of possible states, so time is (pattern size × text size) at worst.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from riad.pipelines.language.automaton import Regex, State, Test

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


@lru_cache(maxsize=256)
def _compile(source: str, flags: int) -> Regex:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(source.replace("\\z", "\\Z").replace("\\h", "[0-9a-fA-F]"), flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRegexError(f"not a regular expression: {error}") from None
    return _Builder(tree.state.flags).build(tree)


class _Builder:
    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._states: list[State] = []
        self._grouped = False

    def build(self, tree: Any) -> Regex:
        accept = self._new()
        start = self._sequence(tree, accept, self._flags)
        return Regex(self._states, start, accept, grouped=self._grouped)

    def _new(self, **fields: Any) -> int:
        if len(self._states) >= MAX_STATES:
            raise BadRegexError("the pattern is too large once its repetitions are written out")
        self._states.append(State(**fields))
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
            group, add, drop, inner = argument
            if group != 1:
                return self._sequence(inner, then, (flags | add) & ~drop)
            self._grouped = True
            close = self._new(mark=2, next=[then])
            return self._new(mark=1, next=[self._sequence(inner, close, (flags | add) & ~drop)])
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            least, most, inner = argument
            return self._repeat(least, most, inner, then=then, flags=flags, lazy=op is c.MIN_REPEAT)
        raise BadRegexError(f"{str(op).lower().replace('_', ' ')} is not part of GitLab's dialect (RE2)")

    def _repeat(self, least: int, most: int, inner: Any, *, then: int, flags: int, lazy: bool) -> int:
        if most is not c.MAXREPEAT and most > 1000:
            raise BadRegexError("repeated more than 1000 times")
        if most is c.MAXREPEAT:
            loop = self._new()
            ways = [self._sequence(inner, loop, flags), then]
            self._states[loop].next = ways[::-1] if lazy else ways
            entry = loop
        else:
            entry = then
            for _ in range(most - least):
                ways = [self._sequence(inner, entry, flags), then]
                entry = self._new(next=ways[::-1] if lazy else ways)
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
