"""Something from the web, for `docker import URL`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from riad.engine.images.progress import Report, bar
from riad.kernel.faults import Fault, Kind, invalid

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_EVERY = 0.1  # seconds between two lines


@asynccontextmanager
async def fetched(url: str, report: Report) -> AsyncIterator[AsyncIterator[bytes]]:
    """The content in pieces. Raises INVALID for another scheme, NOT_FOUND and UNAVAILABLE for what cannot be had."""
    if "://" not in url:
        url = f"http://{url}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid(f"{url}: only http and https addresses can be imported")
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True, auto_decompress=False) as session,
            session.get(url) as answer,
        ):
            if answer.status >= 400:
                kind = Kind.NOT_FOUND if answer.status == 404 else Kind.UNAVAILABLE
                raise Fault(kind, f"{url}: {answer.status} {answer.reason}")
            yield _shown(answer, report)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Fault(Kind.UNAVAILABLE, f"{url}: {error or 'no answer in time'}") from None


async def _shown(answer: aiohttp.ClientResponse, report: Report) -> AsyncIterator[bytes]:
    total, done, last = answer.content_length or 0, 0, 0.0
    async for piece in answer.content.iter_chunked(1 << 20):
        yield piece
        done += len(piece)
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            detail = {"current": done, "total": total}
            await report({"status": "Importing", "progressDetail": detail, "progress": bar(done, total)})
