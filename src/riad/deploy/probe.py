"""Asks a service whether it is healthy, as its users would: an HTTP GET, or a TCP connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

AGENT = "riad-health-check"
PATIENCE = 5.0
"""Seconds that one answer may take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` says what was asked and what came back, for people. `heard`: somebody answered, whatever they said."""

    healthy: bool
    text: str
    heard: bool = False


async def ask(host: str, port: int, path: str | None, *, name: str) -> Answer:
    """One attempt. `name` is the host name that users call the service by: applications check it."""
    if path is None:
        return await _connect(host, port)
    return await _get(host, port, path, name)


async def _connect(host: str, port: int) -> Answer:
    what = f"a TCP connection to {host}:{port}"
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Answer(healthy=False, text=f"{what} was not accepted within {PATIENCE:g} s")
    except OSError as error:
        return Answer(healthy=False, text=f"{what} failed: {_reason(error)}")
    writer.close()
    return Answer(healthy=True, text=f"{what} was accepted")


async def _get(host: str, port: int, path: str, name: str) -> Answer:
    what = f"GET http://{host}:{port}{path}"
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    headers = {"Host": name, "User-Agent": AGENT, "Connection": "close"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as session,
            session.get(f"http://{host}:{port}{path}", headers=headers, allow_redirects=False) as response,
        ):
            body = (await response.content.read(300)).decode(errors="replace").strip()
            status = response.status
    except TimeoutError:
        return Answer(healthy=False, text=f"{what} was not answered within {PATIENCE:g} s")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(healthy=False, text=f"{what} failed: {_reason(error)}")
    said = f"{what} answered {status}"
    if 200 <= status < 400:
        return Answer(healthy=True, text=said, heard=True)
    return Answer(healthy=False, text=f"{said}: {' '.join(body.split())}" if body else said, heard=True)


def _reason(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or error
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def pause(elapsed: float, *, heard: bool) -> float:
    """Seconds to the next attempt, `elapsed` seconds after the first: quick while nobody listens yet, with patience
    towards an application that answers with errors (each attempt is a line in its log)."""
    if heard:
        return 0.2 if elapsed < 5 else 1.0
    if elapsed < 3:
        return 0.05
    return 0.1 if elapsed < 15 else 0.5


def is_about_probe(line: str, path: str | None) -> bool:
    """Whether a line of a container's log only tells that it was probed."""
    return AGENT in line or (path is not None and f"GET {path} HTTP/" in line)
