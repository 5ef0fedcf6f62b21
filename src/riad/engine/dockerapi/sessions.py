"""A client at the streams of a process: what it writes is shown, what the client types is passed on.

The same for attach and exec, over a hijacked connection or a WebSocket. A session is over when the output has ended,
the client has gone, its input has ended where that counts, or it typed the detach keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from typing import Any, Protocol

from riad.engine.containers.attach import Output
from riad.engine.containers.detach import Detector
from riad.engine.dockerapi.streams import frame


class Client(Protocol):
    """`gone` is set when the client will neither send nor receive any more."""

    gone: asyncio.Event

    async def read(self) -> bytes:
        """What the client sent; b"" when it will send nothing more."""

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the client has gone."""

    async def close(self) -> None:
        """After everything written has been sent."""


class Input(Protocol):
    """Where what the client types goes."""

    async def send(self, data: bytes) -> None:
        """Raises OSError when it is not read any more."""

    def end(self) -> bool:
        """Nothing more comes. True where the session ends with that."""


class Ending(enum.Enum):
    OUTPUT = "the output has ended"
    INPUT = "the input has ended"
    DETACHED = "the detach keys were typed"
    GONE = "the client has gone"


async def framed(outputs: AsyncIterator[Output], wanted: set[int]) -> AsyncIterator[bytes]:
    """The wanted streams in frames."""
    async for output in outputs:
        if data := b"".join(frame(kind, data) for kind, data in output if kind in wanted):
            yield data


async def raw(outputs: AsyncIterator[Output], wanted: set[int]) -> AsyncIterator[bytes]:
    """The wanted streams one behind the other, as a terminal's are."""
    async for output in outputs:
        if data := b"".join(data for kind, data in output if kind in wanted):
            yield data


async def converse(
    client: Client, output: AsyncIterator[bytes], given: Input | None, keys: Detector | None = None
) -> Ending:
    """Copies until the session is over; the caller closes what belongs to it. Without `keys` nothing detaches."""
    showing = asyncio.ensure_future(_show(client, output))
    gone = asyncio.ensure_future(client.gone.wait())
    typing = asyncio.ensure_future(_pass_on(client, given, keys)) if given is not None else None
    waiting: set[asyncio.Future[Any]] = {showing, gone} | ({typing} if typing is not None else set())
    try:
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if showing in done:
                return Ending.OUTPUT if showing.result() else Ending.GONE
            if gone in done:
                return Ending.GONE
            if typing is not None and typing in done and (ending := typing.result()) is not None:
                return ending
    finally:
        tasks = [task for task in (showing, gone, typing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _show(client: Client, output: AsyncIterator[bytes]) -> bool:
    """False when the client went first."""
    try:
        async for data in output:
            await client.write(data)
    except ConnectionError:
        return False
    return True


async def _pass_on(client: Client, given: Input, keys: Detector | None) -> Ending | None:
    """None where the session goes on without input."""
    with contextlib.suppress(OSError):
        while data := await client.read():
            passed, detached = keys.feed(data) if keys is not None else (data, False)
            if passed:
                await given.send(passed)
            if detached:
                return Ending.DETACHED
        if keys is not None and (rest := keys.rest()):
            await given.send(rest)
    return Ending.INPUT if given.end() else None
