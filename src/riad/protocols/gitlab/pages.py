"""Pagination as GitLab has it: `page` and `per_page` asked for, `X-…` headers and `Link` (RFC 8288) answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import Request

from riad.protocols.gitlab.errors import BadParameters

T = TypeVar("T")

MOST_PER_PAGE = 100
DEFAULT_PER_PAGE = 20
LONGEST_NUMBER = 10
"""Digits: what comes before the page still fits a database's number."""


@dataclass(frozen=True, slots=True)
class Page:
    number: int = 1
    size: int = DEFAULT_PER_PAGE

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


def asked(parameters: Mapping[str, object]) -> Page:
    """From `page` and `per_page` (at most 100: more is cut to it, as GitLab does). Raises INVALID."""
    return Page(
        number=max(1, _number(parameters, "page", 1)),
        size=min(MOST_PER_PAGE, max(1, _number(parameters, "per_page", DEFAULT_PER_PAGE))),
    )


def _number(parameters: Mapping[str, object], name: str, default: int) -> int:
    value = parameters.get(name)
    if value is None or value == "":
        return default
    text = str(value)
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= LONGEST_NUMBER):
        raise BadParameters(f"{name} is invalid")
    return int(text)


def cut(items: Sequence[T], page: Page) -> Sequence[T]:
    """The page's part of a list that is at hand as a whole."""
    return items[page.offset : page.offset + page.size]


def headers(request: Request, page: Page, *, total: int | None, more: bool | None = None) -> dict[str, str]:
    """For `total` things in all; where that is not known (None), `more` says whether another page follows."""
    pages = max(1, -(-total // page.size)) if total is not None else None
    follows = page.number < pages if pages is not None else bool(more)
    found = {
        "X-Page": str(page.number),
        "X-Per-Page": str(page.size),
        "X-Next-Page": str(page.number + 1) if follows else "",
        "X-Prev-Page": str(page.number - 1) if page.number > 1 else "",
    }
    links = {"first": 1}
    if page.number > 1:
        links["prev"] = page.number - 1
    if follows:
        links["next"] = page.number + 1
    if total is not None and pages is not None:
        found |= {"X-Total": str(total), "X-Total-Pages": str(pages)}
        links["last"] = pages
    found["Link"] = ", ".join(f'<{_address(request, page, n)}>; rel="{rel}"' for rel, n in links.items())
    return found


def keyset_headers(request: Request, page: Page, *, last_id: int | None, name: str = "id_after") -> dict[str, str]:
    """For keyset pagination: a `Link` to what comes after the thing with `last_id`; none where nothing does."""
    if last_id is None:
        return {}
    return {"Link": f'<{_with(request, {name: str(last_id), "per_page": str(page.size)})}>; rel="next"'}


def _address(request: Request, page: Page, number: int) -> str:
    return _with(request, {"page": str(number), "per_page": str(page.size)})


def _with(request: Request, changed: Mapping[str, str]) -> str:
    """The request's own address with other parameters; secrets given as parameters are left out."""
    secret = {"private_token", "access_token", "job_token"}
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in changed and k not in secret]
    url = request.url
    return f"{url.scheme}://{url.netloc}{_raw_path(request)}?{urlencode([*kept, *changed.items()])}"


def _raw_path(request: Request) -> str:
    raw: bytes = request.scope.get("raw_path") or str(request.url.path).encode()
    return raw.partition(b"?")[0].decode()
