"""HAProxy's runtime API: one command per connection on its admin socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from riad.kernel.faults import unavailable

DEADLINE = 10.0
_LARGEST = 4 * 1024 * 1024


class AdminSocket:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def say(self, command: str) -> str:
        """The answer of HAProxy, without surrounding blank lines. Raises UNAVAILABLE."""
        try:
            async with asyncio.timeout(DEADLINE):
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=_LARGEST)
                try:
                    writer.write(f"{command}\n".encode())
                    await writer.drain()
                    answer = await reader.read()
                finally:
                    writer.close()
        except TimeoutError:
            raise unavailable(f"the edge does not answer on {self._path}") from None
        except OSError as error:
            raise unavailable(f"the edge is not running ({self._path}: {error.strerror or error})") from error
        return answer.decode(errors="replace").strip()
