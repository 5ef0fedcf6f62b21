"""Conditions of `rules:if`, after GitLab's grammar (doc/ci/jobs/job_rules.md).

    or   := and ("||" and)*          and := term ("&&" term)*          term := "(" or ")" | value [op value]
    op   := == | != | =~ | !~        value := $NAME | ${NAME} | "text" | 'text' | null | /pattern/flags

A variable alone holds when it is defined and not empty; an undefined one equals null. A pattern on the right of =~ may
stand in a variable; what is no pattern there is searched as plain text. Variables inside a pattern are not expanded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from riad.pipelines.language import regexes

MAX_LENGTH = 10_000
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Text:
    value: str | None


@dataclass(frozen=True, slots=True)
class Pattern:
    source: str


@dataclass(frozen=True, slots=True)
class Compare:
    op: str
    left: Name | Text | Pattern
    right: Name | Text | Pattern


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Expression, ...]


Value = Name | Text | Pattern
Expression = Name | Text | Pattern | Compare | Both | Either


class BadExpressionError(ValueError):
    """The message says what was expected, and where (characters from 1)."""


def problem(source: str) -> str | None:
    """What is wrong with the condition, or None."""
    try:
        parse(source)
    except BadExpressionError as error:
        return str(error)
    return None


def holds(source: str, variables: Mapping[str, str]) -> bool:
    """Evaluates a condition. Raises BadExpressionError for one that `problem` would have told about."""
    return _holds(parse(source), variables)


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<op>==|!=|=~|!~|&&|\|\||\(|\))
    | \$(?P<name>[A-Za-z_]\w*) | \$\{(?P<braced>[A-Za-z_]\w*)\}
    | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
    | (?P<null>null\b)
    | (?P<pattern>/(?:[^/\\\n]|\\.)+/[ismU]*)
    )""",
    re.VERBOSE,
)


@lru_cache(maxsize=512)
def parse(source: str) -> Expression:
    if len(source) > MAX_LENGTH:
        raise BadExpressionError(f"longer than {MAX_LENGTH} characters")
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens = _tokens(source)
        self._at = 0
        self._end = len(source)
        self._depth = 0

    def parse(self) -> Expression:
        found = self._either()
        if self._at < len(self._tokens):
            self._fail("&& or ||")
        return found

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._take("||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._term()]
        while self._take("&&"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _term(self) -> Expression:
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise BadExpressionError(f"more than {MAX_DEPTH} parentheses inside each other")
            inner = self._either()
            if not self._take(")"):
                self._fail("a closing parenthesis")
            self._depth -= 1
            return inner
        left = self._value()
        for op in ("==", "!=", "=~", "!~"):
            if self._take(op):
                return Compare(op, left, self._value())
        return left

    def _value(self) -> Value:
        if self._at < len(self._tokens):
            token = self._tokens[self._at][1]
            if not isinstance(token, str):
                self._at += 1
                return token
        self._fail('a variable such as $CI_COMMIT_BRANCH, a "text", null or a /pattern/')
        raise AssertionError

    def _take(self, op: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1] == op:
            self._at += 1
            return True
        return False

    def _fail(self, expected: str) -> None:
        place = self._tokens[self._at][0] if self._at < len(self._tokens) else self._end
        raise BadExpressionError(f"expected {expected} at character {place + 1}")


def _tokens(source: str) -> list[tuple[int, str | Value]]:
    found: list[tuple[int, str | Value]] = []
    at = 0
    while source[at:].strip():
        token = _TOKEN.match(source, at)
        if token is None:
            start = at + len(source[at:]) - len(source[at:].lstrip())
            raise BadExpressionError(f"cannot read `{source[start : start + 20]}` at character {start + 1}")
        found.append((token.start(token.lastgroup or 0), _token_value(token)))
        at = token.end()
    return found


def _token_value(token: re.Match[str]) -> str | Value:
    kind, text = token.lastgroup, token[token.lastgroup or 0]
    if kind in ("name", "braced"):
        return Name(text)
    if kind in ("double", "single"):
        return Text(text)
    if kind == "null":
        return Text(None)
    if kind == "pattern":
        if bad := regexes.literal_problem(text):
            raise BadExpressionError(f"{text}: {bad}")
        return Pattern(text)
    return text


def _holds(expression: Expression, variables: Mapping[str, str]) -> bool:
    match expression:
        case Both(parts):
            return all(_holds(part, variables) for part in parts)
        case Either(parts):
            return any(_holds(part, variables) for part in parts)
        case Compare(op, left, right):
            return _compares(op, left, right, variables)
        case _:
            return bool(_text(expression, variables))


def _text(value: Value, variables: Mapping[str, str]) -> str | None:
    match value:
        case Name(name):
            return variables.get(name)
        case Text(text):
            return text
        case Pattern(source):
            return source


def _compares(op: str, left: Value, right: Value, variables: Mapping[str, str]) -> bool:
    given, wanted = _text(left, variables), _text(right, variables)
    match op:
        case "==":
            return given == wanted
        case "!=":
            return given != wanted
        case "=~":
            return _finds(wanted, given)
        case _:
            return not _finds(wanted, given)


def _finds(pattern: str | None, text: str | None) -> bool:
    if not pattern or text is None:
        return False
    if not regexes.is_literal(pattern):
        return pattern in text
    try:
        return regexes.literal(pattern).matches(text)
    except regexes.BadRegexError:
        return False
