"""No request may fill the server's memory, whoever sends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from riad.server import limits

PIECE = b"x" * 1024 * 1024


def client() -> httpx.AsyncClient:
    app = FastAPI()
    app.add_middleware(limits.BodyLimit)

    @app.post("/{path:path}")
    async def take(request: Request) -> int:
        return len(await request.body())

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://riad")


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


@pytest.mark.parametrize(("count", "status"), [(32, 200), (33, 413)])
async def test_a_body_of_unknown_length_is_counted_as_it_comes(count: int, status: int) -> None:
    async with client() as http:
        assert (await http.post("/sign-in", content=pieces(count))).status_code == status


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    async with client() as http:
        answer = await http.post("/jwt/auth", headers={"Content-Length": str(2**40)})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("path", ["/v2/a/b/blobs/uploads/1", "/a/b.git/git-receive-pack"])
async def test_pushes_have_bounds_of_their_own(path: str) -> None:
    async with client() as http:
        assert (await http.post(path, content=pieces(33))).status_code == 200
