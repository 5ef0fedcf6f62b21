"""Pieces made by a thread of their own while the last ones are used: inflating beside writing files."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator

_DEPTH = 8


def ahead(pieces: Iterator[bytes]) -> Generator[bytes]:
    """`pieces`, at most a few ahead. Close it: then its thread has ended, and `pieces` is the caller's again."""
    state = _State()
    thread = threading.Thread(target=state.fill, args=(pieces,), name="ahead", daemon=True)
    thread.start()
    try:
        while (piece := state.take()) is not None:
            yield piece
    finally:
        state.stop()
        thread.join()


class _State:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def fill(self, pieces: Iterator[bytes]) -> None:
        error: BaseException | None = None
        try:
            for piece in pieces:
                with self._changed:
                    while len(self._ready) >= _DEPTH and not self._stopped:
                        self._changed.wait()
                    if self._stopped:
                        return
                    self._ready.append(piece)
                    self._changed.notify()
        except BaseException as caught:  # raised where the pieces are used
            error = caught
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def take(self) -> bytes | None:
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait()
            if self._ready:
                self._changed.notify()
                return self._ready.popleft()
            if self._error is not None:
                raise self._error
            return None

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
