"""`serve(app)`: an ASGI application behind a real uvicorn on a free port of 127.0.0.1, for real clients."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

Serve = Callable[[Any], str]


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address (`http://127.0.0.1:PORT`) of `app`, up until the block ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", loop="asyncio", lifespan="off", ws="none"))
    started = threading.Event()

    class _Server(threading.Thread):
        def run(self) -> None:
            server.run(sockets=[listener])

    startup = server.startup

    async def announce(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        started.set()

    server.startup = announce  # type: ignore[method-assign]
    thread = _Server(daemon=True)
    thread.start()
    if not started.wait(15):
        raise RuntimeError("uvicorn did not start within 15 s")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(15)
        listener.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))
