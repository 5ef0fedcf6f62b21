"""The arguments of instructions: JSON or shell form, names with values, durations, flags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from riad.dockerfile import words
from riad.dockerfile.errors import Mistake, suggestion
from riad.dockerfile.instructions import Command
from riad.dockerfile.source import Statement

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of one statement, checked against those its instruction knows; repeatable ones keep all values."""

    values: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        given = self.values.get(name)
        return given[0] if given else None

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def on(self, name: str) -> bool | None:
        """A switch: `--name`, `--name=true`, `--name=false`; None where it is not given."""
        value = self.one(name)
        if value is None:
            return None
        if value.lower() not in ("", "true", "false"):
            raise Mistake(f"expecting boolean value for flag {name}, not: {value}")
        return value.lower() != "false"


def flags(
    statement: Statement, *, known: Iterable[str] = (), repeatable: Iterable[str] = (), switches: Iterable[str] = ()
) -> Flags:
    """Raises Mistake for a flag that is unknown, given twice, or without its value."""
    values: dict[str, tuple[str, ...]] = {}
    valued, several, boolean = set(known), set(repeatable), set(switches)
    for flag in statement.flags:
        name, equals, value = flag[2:].partition("=")
        if name not in valued | several | boolean:
            hint = suggestion(name, valued | several | boolean)
            raise Mistake(f"unknown flag: --{name}{hint} ({statement.keyword} does not have it)")
        if name not in boolean and not equals:
            raise Mistake(f"missing a value on flag: {name}")
        if name in values and name not in several:
            raise Mistake(f"duplicate flag specified: {name}")
        values[name] = (*values.get(name, ()), value)
    return Flags(values)


def json_list(rest: str) -> tuple[str, ...] | None:
    """The items of a JSON array of texts; None where it is not JSON at all, which makes it a shell form."""
    if not rest.startswith("["):
        return None
    try:
        items = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list):
        return None
    if not all(isinstance(item, str) for item in items):
        raise Mistake("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(items)


def command(rest: str) -> Command:
    """Exec form where `rest` is a JSON array, else shell form (an empty one has no args)."""
    items = json_list(rest)
    if items is not None:
        return Command(items, in_shell=False)
    return Command((rest,) if rest else (), in_shell=True)


def listed(rest: str) -> tuple[str, ...]:
    """A JSON array, or words between white space."""
    items = json_list(rest)
    return tuple(rest.split()) if items is None else items


def pairs(statement: Statement, escape: str) -> tuple[tuple[str, str], ...]:
    """`NAME=value …`, or the old `NAME value` whose value is the rest of the line. Quotes stay in the values."""
    parts = words.split(statement.rest, escape=escape)
    if not parts:
        raise Mistake(f"{statement.keyword} requires at least one argument")
    if "=" not in parts[0]:
        name, *value = re.split(r"\s+", statement.rest, maxsplit=1)
        if not value or not value[0]:
            raise Mistake(f"{statement.keyword} must have two arguments")
        return ((name, value[0]),)
    found: list[tuple[str, str]] = []
    for part in parts:
        name, equals, text = part.partition("=")
        if not equals:
            raise Mistake(f"Syntax error - can't find = in {json.dumps(part)}. Must be of the form: name=value")
        if not name:
            raise Mistake(f"{statement.keyword} names can not be blank")
        found.append((name, text))
    return tuple(found)


def duration(text: str, flag: str, *, least: int = 0) -> int:
    """Nanoseconds of a duration such as `1m30s`. Raises Mistake."""
    if text in ("0", "+0"):
        total = 0.0
    elif _DURATION.sub("", text.removeprefix("+")) or not text:
        raise Mistake(f'{flag}: "{text}" is not a duration such as 30s or 1m30s')
    else:
        total = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    if total and total < least:
        raise Mistake(f'{flag}: "{text}" is less than 1ms')
    if total > 2**62:
        raise Mistake(f'{flag}: "{text}" is too long')
    return int(total)


def exactly_one(statement: Statement) -> str:
    if not statement.rest:
        raise Mistake(f"{statement.keyword} requires exactly one argument")
    return statement.rest


def at_least_one(statement: Statement, items: tuple[str, ...]) -> tuple[str, ...]:
    if not items:
        raise Mistake(f"{statement.keyword} requires at least one argument")
    return items
