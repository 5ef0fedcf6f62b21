"""What passes between the engine, a runtime and a process."""

from __future__ import annotations

import os
import pty
import socket
from pathlib import Path

from riad.engine.host.pipes import ConsoleSocket


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
