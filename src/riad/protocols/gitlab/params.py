"""A request's parameters, from the query and the body (JSON, form or multipart), read as GitLab reads them.

Unknown parameters are ignored, as in GitLab; known ones that Riad does not support are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request

from riad.kernel.faults import Kind
from riad.protocols.gitlab.errors import BadParameters

LARGEST_BODY = 32 * 1024 * 1024
LONGEST_NUMBER = 18

E = TypeVar("E")

_BOOLEANS = {"true": True, "1": True, "t": True, "on": True, "false": False, "0": False, "f": False, "off": False}


class Params(Mapping[str, Any]):
    """`text`, `number`, `flag` and the rest answer None where nothing was given and raise INVALID by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def require(self, *names: str) -> None:
        missing = [f"{name} is missing" for name in names if self.get(name) is None]
        if missing:
            raise BadParameters(*missing)

    def refuse(self, **unsupported: str) -> None:
        """Refuses each of these that was given a value; the text says what to do instead."""
        given = [
            f"{name} is not supported: {why}"
            for name, why in unsupported.items()
            if self.get(name) not in (None, "", [], {}, False, "false")
        ]
        if given:
            raise BadParameters(*given, kind=Kind.UNSUPPORTED)

    def text(self, name: str) -> str | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool | int | float):
            return str(value)
        if not isinstance(value, str) or not _storable(value):
            raise BadParameters(f"{name} is invalid")
        return value

    def needed(self, name: str) -> str:
        self.require(name)
        text = self.text(name)
        if not text:
            raise BadParameters(f"{name} is empty")
        return text

    def number(self, name: str) -> int | None:
        value = self.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or (found := whole(str(value))) is None:
            raise BadParameters(f"{name} is invalid")
        return found

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            return value
        known = _BOOLEANS.get(str(value).lower())
        if known is None:
            raise BadParameters(f"{name} is invalid")
        return known

    def on(self, name: str) -> bool:
        return bool(self.flag(name))

    def one_of(self, name: str, shape: type[E]) -> E | None:
        """A member of an enum, by its value."""
        value = self.get(name)
        if value is None or value == "":
            return None
        try:
            return shape(int(value)) if issubclass(shape, int) else shape(value)  # type: ignore[call-arg]
        except (TypeError, ValueError):
            raise BadParameters(f"{name} does not have a valid value") from None

    def texts(self, name: str) -> list[str] | None:
        """A list, given as JSON, as `name[]=…` or separated by commas."""
        value = self.get(name)
        if value is None:
            return None
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) and _storable(part) for part in parts):
            raise BadParameters(f"{name} is invalid")
        return [part.strip() for part in parts if part.strip()]

    def moment(self, name: str) -> datetime | None:
        """A date (its midnight, UTC) or an ISO 8601 moment."""
        value = self.text(name)
        if not value:
            return None
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise BadParameters(f"{name} is invalid") from None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    def day(self, name: str) -> date | None:
        moment = self.moment(name)
        return moment.date() if moment is not None else None


def whole(text: str) -> int | None:
    """The number that `text` is, as far as a database can hold it; None for anything else."""
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= LONGEST_NUMBER else None


def _storable(text: str) -> bool:
    """No NUL (PostgreSQL keeps none, git ends there) and no half of a surrogate pair (JSON can spell it, UTF-8 not)."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


async def read(request: Request) -> Params:
    """Body over query. Raises INVALID for a body that is not what its type says, or is too large."""
    values = _merged(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in {"GET", "HEAD"} or not kind:
        return Params(values)
    if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
        raise BadParameters(f"the body is larger than {LARGEST_BODY // 2**20} MiB")
    if kind == "application/json":
        values |= await _json(request)
    elif kind == "application/x-www-form-urlencoded":
        values |= _merged(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
    elif kind == "multipart/form-data":
        async with request.form() as form:
            values |= _merged([(k, v if isinstance(v, str) else await v.read()) for k, v in form.multi_items()])
    return Params(values)


async def _json(request: Request) -> dict[str, Any]:
    if not await request.body():
        return {}
    try:
        found = await request.json()
    except (ValueError, RecursionError):
        raise BadParameters("the body is not JSON, or nested too deep") from None
    if not isinstance(found, dict):
        raise BadParameters("the body is not a JSON object")
    return found


def _merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`a[]=1&a[]=2` is a list, `a[b]=1` a mapping; of a plain name given twice the last one counts, as in Rack."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        base, bracket, rest = name.partition("[")
        if not bracket or not rest.endswith("]"):
            values[name] = value
        elif rest == "]":
            held = values.setdefault(base, [])
            if isinstance(held, list):
                held.append(value)
        else:
            held = values.setdefault(base, {})
            if isinstance(held, dict):
                held[rest[:-1]] = value
    return values
