"""A WebSocket as the client of a session: its messages are bytes of a stream, however they are cut (RFC 6455)."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from riad.engine.dockerapi.wire import STARTED


class WebSocket:
    """`gone` is set when the client has said goodbye or was cut off: a WebSocket cannot end one direction only."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self.response = response
        self.gone = asyncio.Event()
        self._received: asyncio.Queue[bytes] = asyncio.Queue(16)
        self._listening = asyncio.ensure_future(self._listen())

    @staticmethod
    async def accept(request: web.Request) -> WebSocket:
        """Raises aiohttp's own 400 where the request is no WebSocket's."""
        response = web.WebSocketResponse(max_msg_size=2**24)
        await response.prepare(request)
        request[STARTED] = True
        return WebSocket(response)

    async def _listen(self) -> None:
        """Reads also while nobody wants input, to see the client go."""
        try:
            async for message in self.response:
                if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                    data = message.data
                    await self._received.put(data.encode() if isinstance(data, str) else bytes(data))
        finally:
            self.gone.set()

    async def read(self) -> bytes:
        """b"" when nothing more comes."""
        while True:
            if not self._received.empty():
                if data := self._received.get_nowait():
                    return data
                continue
            if self.gone.is_set():
                return b""
            getting = asyncio.ensure_future(self._received.get())
            gone = asyncio.ensure_future(self.gone.wait())
            try:
                await asyncio.wait({getting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if getting.done() and (data := getting.result()):
                    return data
            finally:
                getting.cancel()
                gone.cancel()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the client has gone."""
        await self.response.send_bytes(data)

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self.response.close()
