from datetime import UTC, datetime

import pytest
from fastapi import Request

from riad.identity.model import Access, Visibility
from riad.kernel.faults import Fault, Finding, Kind, invalid
from riad.protocols import credentials
from riad.protocols.git import errors as git_errors
from riad.protocols.gitlab import errors, pages, params
from riad.protocols.gitlab.params import Params
from riad.protocols.gitlab.routing import segments_kept


def request(query: str = "", *, body: bytes = b"", kind: str = "", method: str = "POST") -> Request:
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode()), (b"host", b"riad.test")] if kind else [(b"host", b"riad.test")]
    scope = {
        "type": "http", "method": method, "path": "/api/v4/projects/a/b", "scheme": "http",
        "raw_path": b"/api/v4/projects/a%2Fb", "query_string": query.encode(), "headers": headers,
        "server": ("riad.test", 80),
    }  # fmt: skip
    return Request(scope, receive)


# parameters


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"name": "x", "scopes": ["a", "b"]}'),
        ("application/x-www-form-urlencoded", b"name=x&scopes[]=a&scopes[]=b"),
        (
            "multipart/form-data; boundary=z",
            b'--z\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--z\r\n'
            b'Content-Disposition: form-data; name="scopes[]"\r\n\r\na\r\n--z\r\nContent-Disposition: form-data; '
            b'name="scopes[]"\r\n\r\nb\r\n--z--\r\n',
        ),
    ],
)
async def test_a_body_is_read_whatever_its_form(kind: str, body: bytes) -> None:
    found = await params.read(request("page=2&name=over", body=body, kind=kind))
    assert (found.text("name"), found.texts("scopes"), found.number("page")) == ("x", ["a", "b"], 2)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Fault, match="JSON"):
        await params.read(request(body=body, kind="application/json"))


def test_values_are_read_as_what_they_are_meant_to_be() -> None:
    given = Params({
        "flag": "true", "off": False, "level": "40", "visibility": "public", "day": "2026-02-03",
        "moment": "2026-02-03T04:05:06Z", "list": "a, b",
    })  # fmt: skip
    assert (given.on("flag"), given.flag("off"), given.flag("none")) == (True, False, None)
    assert given.one_of("level", Access) is Access.MAINTAINER
    assert given.one_of("visibility", Visibility) is Visibility.PUBLIC
    assert given.moment("moment") == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert str(given.day("day")) == "2026-02-03"
    assert given.texts("list") == ["a", "b"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda p: p.require("a", "x", "b"), "a is missing, b is missing"),
        (lambda p: p.number("x"), "x is invalid"),
        (lambda p: p.number("yes"), "yes is invalid"),
        (lambda p: p.flag("x"), "x is invalid"),
        (lambda p: p.one_of("x", Visibility), "x does not have a valid value"),
        (lambda p: p.one_of("x", Access), "x does not have a valid value"),
        (lambda p: p.moment("x"), "x is invalid"),
        (lambda p: p.text("list"), "list is invalid"),
        (lambda p: p.texts("numbers"), "numbers is invalid"),
        (lambda p: p.refuse(x="use y"), "x is not supported: use y"),
    ],
)
def test_what_is_missing_or_wrong_is_named(act, said: str) -> None:
    with pytest.raises(Fault) as caught:
        act(Params({"x": "zzz", "yes": True, "list": ["a"], "numbers": [1]}))
    assert errors.body(caught.value) == {"error": said}


# errors


def test_every_kind_of_fault_has_a_status_in_both_protocols() -> None:
    assert set(errors.STATUS) == set(git_errors.STATUS) == set(Kind)


def test_findings_become_attributes() -> None:
    fault = invalid("bad", Finding("path", "is empty"), Finding("path", "is bad"), Finding("", "x", line=3))
    assert errors.body(fault) == {"message": {"path": ["is empty", "is bad"], "base": ["line 3: x"]}}


def test_a_401_says_no_more_than_that() -> None:
    assert errors.body(Fault(Kind.UNAUTHENTICATED, "the token has expired")) == {"message": "401 Unauthorized"}


# pages


def test_a_middle_page_knows_its_neighbours() -> None:
    headers = pages.headers(request("private_token=s&search=a+b"), pages.Page(2, 10), total=25)
    assert (headers["X-Total"], headers["X-Total-Pages"], headers["X-Next-Page"], headers["X-Prev-Page"]) == (
        "25", "3", "3", "1",
    )  # fmt: skip
    next_one = next(link for link in headers["Link"].split(", ") if 'rel="next"' in link)
    assert next_one == '<http://riad.test/api/v4/projects/a%2Fb?search=a+b&page=3&per_page=10>; rel="next"'
    assert "private_token" not in headers["Link"]


@pytest.mark.parametrize(("total", "number", "follows"), [(0, 1, ""), (10, 1, ""), (11, 1, "2"), (11, 2, "")])
def test_the_last_page_has_no_next(total: int, number: int, follows: str) -> None:
    assert pages.headers(request(), pages.Page(number, 10), total=total)["X-Next-Page"] == follows


def test_page_sizes_are_bounded() -> None:
    assert pages.asked({"per_page": "1000", "page": "0"}) == pages.Page(1, 100)
    with pytest.raises(Fault, match="per_page is invalid"):
        pages.asked({"per_page": "many"})


# addresses and credentials


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"/api/v4/projects/a%2Fb/x", "/api/v4/projects/a%2Fb/x"),
        (b"/api/v4/x/a%252Fb", "/api/v4/x/a%252Fb"),
        (b"/api/v4/x/%C3%BC%20y", "/api/v4/x/ü y"),
        (b"/api/v4/x?y=/z", "/api/v4/x"),
    ],
)
def test_an_encoded_slash_stays_inside_its_segment(raw: bytes, kept: str) -> None:
    assert segments_kept({"type": "http", "path": "", "raw_path": raw}) == kept


@pytest.mark.parametrize(
    ("header", "pair"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic YTpiOmM=", ("a", "b:c")),
        ("Basic YQ==", None),
        ("Basic ???", None),
        ("Basic /w==", None),
        ("Bearer x", None),
        (None, None),
    ],
)
def test_a_basic_header_is_read_or_ignored(header: str | None, pair: tuple[str, str] | None) -> None:
    assert credentials.basic(header) == pair
