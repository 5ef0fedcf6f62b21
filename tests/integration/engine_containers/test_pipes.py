"""What passes between the engine, a runtime and a process."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
from pathlib import Path

from riad.engine.host.pipes import ConsoleSocket, Pipe


async def test_a_runtime_sends_the_terminal_however_deep_the_folder_is(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    master, theirs = pty.openpty()
    with ConsoleSocket(folder / "console") as console, socket.socket(socket.AF_UNIX) as runtime:
        runtime.connect(console.address)
        socket.send_fds(runtime, [b"console"], [master])
        received = await console.receive()
        os.write(theirs, b"said\n")
        assert os.read(received, 100) == b"said\r\n"
    for handle in (master, theirs, received):
        os.close(handle)
    assert list(folder.iterdir()) == []


async def test_closing_a_pipe_leaves_its_number_to_the_next_one_alone() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading)
    waiting = asyncio.ensure_future(pipe.read())
    await asyncio.sleep(0)
    waiting.cancel()
    pipe.close()
    again, theirs = os.pipe()
    assert again == reading
    heard = asyncio.Event()
    asyncio.get_running_loop().add_reader(again, heard.set)
    await asyncio.sleep(0)  # the cancelled one cleans up
    os.write(theirs, b"x")
    await asyncio.wait_for(heard.wait(), 5)
    asyncio.get_running_loop().remove_reader(again)
    for handle in (again, theirs, writing):
        os.close(handle)


async def test_who_waits_at_a_pipe_that_is_closed_finds_its_end() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading)
    waiting = asyncio.ensure_future(pipe.read())
    await asyncio.sleep(0)
    pipe.close()
    assert await asyncio.wait_for(waiting, 5) == b""
    os.close(writing)
