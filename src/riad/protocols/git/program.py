"""One run of git behind a request: fed from the body, read as it speaks, ended when nobody listens any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from riad.forge import gitprogram
from riad.kernel.faults import Fault, Kind
from riad.protocols.git.body import CHUNK, Body

SAID = 4096
"""Bytes of its standard error that are kept."""
SILENCE = 900.0
"""Seconds without a byte of git (which sends keep-alives every five) after which it counts as stuck."""
GRACE = 5.0


class Program:
    """Made by `start`; `stop` has to be called in the end, and may be called twice."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = bytearray()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, arguments: Sequence[str | Path], *, protocol: str | None = None, keep_open: Sequence[int] = ()
    ) -> Program:
        try:
            process = await asyncio.create_subprocess_exec(
                gitprogram.GIT,
                *map(str, arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=gitprogram.environment(protocol=protocol),
                cwd="/",
                pass_fds=tuple(keep_open),
            )
        except FileNotFoundError:
            raise Fault(Kind.UNAVAILABLE, "the program 'git' is not installed on this host") from None
        return cls(process)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(SAID):
            self._said += data
            del self._said[:-SAID]

    @property
    def said(self) -> str:
        return self._said.decode(errors="replace").strip()

    async def feed(self, start: bytes, body: Body) -> None:
        """Writes `start` and the body, then closes. A git that has stopped reading is no error: it says why itself."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            if start:
                stdin.write(start)
                await stdin.drain()
            while (chunk := await body.chunk()) is not None:
                stdin.write(chunk)
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await body.drain()
        finally:
            stdin.close()

    async def output(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    data = await self._process.stdout.read(CHUNK)
            except TimeoutError:
                raise Fault(Kind.INTERNAL, f"git has said nothing for {SILENCE:g} s") from None
            if not data:
                return
            yield data

    async def wait(self) -> int:
        """Its exit code; for after its output's end."""
        async with asyncio.timeout(SILENCE):
            code = await self._process.wait()
        await self._listening
        return code

    async def stop(self) -> None:
        """Asks it to end (git removes its locks and temporary files then), and insists after GRACE seconds."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(GRACE):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
