"""Bytes from the event loop to a thread that reads them as they come; a slow reader slows the sender down."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator

_GATHER = 1 << 18


class Conduit:
    """One sender, on the event loop; one reader, in a thread. `room` bounds the bytes under way."""

    def __init__(self, *, room: int = 8 << 20) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = room
        self._filled = threading.Condition()
        self._emptied = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._waiting: list[bytes] = []
        self._gathered = 0
        self._under_way = 0
        self._ended = False
        self._error: BaseException | None = None
        self._abandoned = False

    async def put(self, piece: bytes) -> None:
        """Small pieces are gathered. Returns at once, and drops the piece, where nobody reads any more."""
        self._waiting.append(piece)
        self._gathered += len(piece)
        if self._gathered >= _GATHER:
            self._hand_over()
            while self._under_way > self._room and not self._abandoned:
                self._emptied.clear()
                if self._under_way > self._room and not self._abandoned:
                    await self._emptied.wait()

    def close(self, error: BaseException | None = None) -> None:
        """No more comes. With `error` the reader raises it where the bytes end."""
        self._hand_over()
        with self._filled:
            self._ended, self._error = True, self._error or error
            self._filled.notify()

    def __iter__(self) -> Iterator[bytes]:
        try:
            while (piece := self._next()) is not None:
                yield piece
        finally:
            self._abandoned = True
            self._loop.call_soon_threadsafe(self._emptied.set)

    def _next(self) -> bytes | None:
        with self._filled:
            while not self._pieces and not self._ended:
                self._filled.wait()
            if not self._pieces:
                if self._error is not None:
                    raise self._error
                return None
            piece = self._pieces.popleft()
            before, self._under_way = self._under_way, self._under_way - len(piece)
        if before > self._room >= self._under_way:
            self._loop.call_soon_threadsafe(self._emptied.set)
        return piece

    def _hand_over(self) -> None:
        if not self._waiting:
            return
        piece = b"".join(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting.clear()
        self._gathered = 0
        with self._filled:
            if not self._abandoned:
                self._pieces.append(piece)
                self._under_way += len(piece)
                self._filled.notify()
