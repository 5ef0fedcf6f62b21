"""Tells when other programs have changed the host's nftables rules, addresses or routes (netlink(7) multicast groups).

A transaction of nftables is told message by message, each with its table, and ends with a "new generation" message
that names the thread that made it. Our own are passed over, and those of other engines like us in their own tables,
which publish ports all day. Of addresses and routes only IPv4's are listened to: starting a container changes none.
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
_MADE_BY, _TABLE = 2, 1
_HEADER = struct.Struct("=IHHII")
_SETTLED = 0.3
"""Seconds without a further change: a firewall's reload is many transactions."""
_AT_MOST = 5
"""Times that looking is put off by further changes."""


Changed = Callable[[], Awaitable[None]]


class HostWatch:
    """`rules` is awaited after others have changed rules, `routes` after addresses or routes alone; one at a time.

    Their failures are logged.

    Tables beginning with `alike` are other engines', except `own_table`, which nobody else should touch.
    """

    def __init__(self, rules: Changed, routes: Changed, *, own_table: str, alike: str) -> None:
        self._rules = rules
        self._routes = routes
        self._transactions = Transactions(own_table, alike)
        self._sockets: list[socket.socket] = []
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._rules_changed = False

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
                if listening is not self._sockets[0]:
                    self._news.set()
                elif self._transactions.concern(data):
                    self._rules_changed = True
                    self._news.set()
        except BlockingIOError:
            return
        except OSError:
            self._rules_changed = True  # messages were lost: look
            self._news.set()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            for _ in range(_AT_MOST):
                self._news.clear()
                await asyncio.sleep(_SETTLED)
                if not self._news.is_set():
                    break
            self._news.clear()
            look = self._rules if self._rules_changed else self._routes
            self._rules_changed = False
            try:
                await look()
            except Exception:
                _log.exception("looking at the host's network failed")


class Transactions:
    """Which of them concern us; a transaction may come in several datagrams."""

    def __init__(self, own_table: str, alike: str) -> None:
        self._own = own_table.encode()
        self._alike = alike.encode()
        self._concerns = self._named = False

    def concern(self, data: bytes) -> bool:
        """Whether a datagram ends a transaction of another program that changes more than that program's own."""
        found, offset = False, 0
        while offset + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                break
            attributes = data[offset + _HEADER.size + 4 : offset + length]
            if kind == _NEW_GENERATION:
                found |= (self._concerns or not self._named) and not _is_ours(_number(attributes, _MADE_BY))
                self._concerns = self._named = False
            else:
                table = _attribute(attributes, _TABLE).rstrip(b"\0")
                self._named = True
                self._concerns |= table == self._own or not table.startswith(self._alike)
            offset += (length + 3) & ~3
        return found


def _number(attributes: bytes, kind: int) -> int:
    return int.from_bytes(_attribute(attributes, kind)[:4], "big")


def _attribute(attributes: bytes, wanted: int) -> bytes:
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, offset)
        if length < 4:
            break
        if kind & 0x3FFF == wanted:
            return attributes[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return b""


def _is_ours(thread: int) -> bool:
    return os.path.exists(f"/proc/self/task/{thread}")
