"""A socket before an engine's: passes every byte on at once, and has each answer judged by the published description.

Runs on an event loop in a thread of its own. A half-closed connection stays half-closed; a connection that changes its
protocol is passed on unread from there. What is wrong is kept until `Judge.drain`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from api_judge.answers import Exchange, judge
from api_judge.conversation import Conversation

_PIECE = 1 << 18

_active: list[Judge] = []


def check() -> None:
    """`Judge.check` of all that are at work."""
    for found in _active:
        found.check()


@dataclass(slots=True)
class Judge:
    """Judges what goes through `listens` to `engine`. Use with `with`."""

    listens: Path
    engine: Path
    routes: set[tuple[str, str]] = field(default_factory=set)
    """Methods and paths that were asked for."""
    _found: dict[str, None] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: threading.Thread | None = None
    _server: socket.socket | None = None

    def __enter__(self) -> Judge:
        self.listens.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.listens))
        self._server.listen(128)
        self._thread = threading.Thread(target=self._run, name="api-judge", daemon=True)
        self._thread.start()
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join()
        self.listens.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises AssertionError with all that was found since the last call."""
        found = self.drain()
        assert not found, "answers that Docker's description does not allow:\n" + "\n".join(found)

    def drain(self) -> list[str]:
        found, self._found = self._found, {}
        return list(found)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_unix_server(self._accept, sock=self._server))
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keeps the task: the loop itself forgets one whose client has closed its half."""
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, up = await asyncio.open_unix_connection(str(self.engine))
        except OSError:
            writer.close()
            return
        talk = Conversation(self.note)
        with contextlib.closing(up), contextlib.closing(writer):
            asks = asyncio.create_task(_pass(reader, up, talk.asked))
            await _pass(upstream, writer, talk.answered)
            talk.ended()
            asks.cancel()

    def note(self, exchange: Exchange) -> None:
        self.routes.add((exchange.method, exchange.target.partition("?")[0]))
        self._found.update(dict.fromkeys(judge(exchange)))


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, look: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_PIECE):
            target.write(data)
            look(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
