"""Tells when other programs have changed the host's nftables rules, addresses or routes (netlink(7) multicast groups).

A transaction of nftables ends with a "new generation" message that names the thread that made it; our own are passed
over. Of addresses and routes only IPv4's are listened to: starting a container changes none of those on the host.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from riad.kernel import logs

_log = logs.named("engine.networks")

_NETLINK_NETFILTER, _ADD_MEMBERSHIP, _GROUP_NFTABLES, _SOL_NETLINK = 12, 1, 7, 270
_GROUPS_OF_ROUTES = 0x10 | 0x40
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV4_ROUTE."""
_NEW_GENERATION = (10 << 8) | 15
_MADE_BY = 2
_HEADER = struct.Struct("=IHHII")
_SETTLED = 0.3
"""Seconds without a further change: a firewall's reload is many transactions."""


class HostWatch:
    """`changed` is awaited after changes by others; one call at a time, its failures are logged."""

    def __init__(self, changed: Callable[[], Awaitable[None]]) -> None:
        self._changed = changed
        self._sockets: list[socket.socket] = []
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def start(self) -> None:
        """A kernel or sandbox that does not tell is no error: then changes are seen at the next start."""
        try:
            rules = self._listen(_NETLINK_NETFILTER, 0)
            rules.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
            self._listen(socket.NETLINK_ROUTE, _GROUPS_OF_ROUTES)
        except OSError as error:
            _log.warning("changes of the host's network go unnoticed", extra=logs.fields(reason=str(error)))
        for each in self._sockets:
            asyncio.get_running_loop().add_reader(each, self._read, each)
        self._task = asyncio.create_task(self._tell())

    def _listen(self, protocol: int, groups: int) -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sockets.append(made)
        made.bind((0, groups))
        made.setblocking(False)
        return made

    async def stop(self) -> None:
        """Twice is no error."""
        for each in self._sockets:
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._sockets.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _read(self, listening: socket.socket) -> None:
        try:
            while True:
                data = listening.recv(1 << 16)
                if listening is not self._sockets[0] or by_another(data):
                    self._news.set()
        except BlockingIOError:
            return
        except OSError:
            self._news.set()  # messages were lost: look

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(_SETTLED)
            if self._news.is_set():
                continue
            try:
                await self._changed()
            except Exception:
                _log.exception("looking at the host's network failed")


def by_another(data: bytes) -> bool:
    """Whether a datagram of nftables ends a transaction of a thread that is not this process'."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return False
        if kind == _NEW_GENERATION and not _is_ours(_maker(data[offset + _HEADER.size + 4 : offset + length])):
            return True
        offset += (length + 3) & ~3
    return False


def _maker(attributes: bytes) -> int:
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, offset)
        if length < 4:
            break
        if kind & 0x3FFF == _MADE_BY:
            return int.from_bytes(attributes[offset + 4 : offset + 8], "big")
        offset += (length + 3) & ~3
    return 0


def _is_ours(thread: int) -> bool:
    return os.path.exists(f"/proc/self/task/{thread}")
