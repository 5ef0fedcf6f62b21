"""Which host ports are given to whom.

A given port is held by a listening socket in the daemon, so that no other program of the host, nor a second engine,
takes what our rules would hide from it. Nothing ever reaches the socket: the rules divert every packet before. The
rules outlive the daemon, the sockets do not; they are taken again at start where that is still possible.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterable, Iterator, Sequence

from riad.engine.networks.model import PortBinding, PublishedPort
from riad.engine.networks.published import EVERY_ADDRESS, EVERY_ADDRESS6
from riad.kernel.faults import Fault, Kind, unsupported

FIRST_RANDOM, LAST_RANDOM = 32768, 60999

_ROOM = 256
"""Descriptors that stay free for everything else."""

_Key = tuple[str, str, int]


class HostPorts:
    """Called from the event loop only: a bind takes microseconds."""

    def __init__(self) -> None:
        self._held: dict[_Key, socket.socket | None] = {}
        self._addresses: dict[tuple[str, int], list[str]] = {}
        self._next_random = FIRST_RANDOM

    def take(self, wishes: Iterable[tuple[PortBinding, Sequence[str]]]) -> tuple[PublishedPort, ...]:
        """Gives all of `wishes` or none, each on all of its addresses with one number.

        Raises INTERNAL with Docker's sentence (and status) where one is taken, UNSUPPORTED for SCTP without kernel.
        """
        taken: list[PublishedPort] = []
        try:
            for wish, addresses in wishes:
                taken.extend(self._take_one(wish, addresses))
        except BaseException:
            self.give_back(taken)
            raise
        return tuple(taken)

    def take_again(self, port: PublishedPort) -> bool:
        """After a restart: the rules are there already. False where another program has taken the port meanwhile."""
        held = _listen(port.proto, port.host_ip, port.host_port)
        self._hold(port, held if isinstance(held, socket.socket) else None)
        return isinstance(held, socket.socket)

    def give_back(self, ports: Iterable[PublishedPort]) -> None:
        """Twice is no error."""
        for port in ports:
            if _key(port) in self._held:
                held = self._held.pop(_key(port))
                self._addresses[port.proto, port.host_port].remove(port.host_ip)
                if held is not None:
                    held.close()

    def socket_of(self, port: PublishedPort) -> socket.socket | None:
        """The socket that holds it; None where there is none."""
        return self._held.get(_key(port))

    def close(self) -> None:
        for held in self._held.values():
            if held is not None:
                held.close()
        self._held.clear()
        self._addresses.clear()

    def _hold(self, port: PublishedPort, held: socket.socket | None) -> None:
        if len(self._held) % _ROOM == 0:
            _make_room(len(self._held) + 2 * _ROOM)
        self._held[_key(port)] = held
        self._addresses.setdefault((port.proto, port.host_port), []).append(port.host_ip)

    def _take_one(self, wish: PortBinding, addresses: Sequence[str]) -> list[PublishedPort]:
        where, reason = addresses[0], "port is already allocated"
        for number in self._candidates(wish):
            found = self._try(wish, addresses, number)
            if isinstance(found, list):
                if not wish.host_port:
                    self._next_random = number + 1 if number < LAST_RANDOM else FIRST_RANDOM
                return found
            where, reason = found
        asked = f"{wish.host_port}-{wish.host_port_end}" if wish.host_port_end else str(wish.host_port)
        raise Fault(Kind.INTERNAL, f"Bind for {where}:{asked} failed: {reason}")

    def _try(self, wish: PortBinding, addresses: Sequence[str], number: int) -> list[PublishedPort] | tuple[str, str]:
        """The ports, or where it failed and why."""
        found: list[PublishedPort] = []
        for address in addresses:
            port = PublishedPort(wish.container_port, wish.proto, address, number)
            held = "port is already allocated" if self._is_given(port) else _listen(port.proto, address, number)
            if isinstance(held, str):
                self.give_back(found)
                return address, held
            self._hold(port, held)
            found.append(port)
        return found

    def _candidates(self, wish: PortBinding) -> Iterator[int]:
        if wish.host_port:
            yield from range(wish.host_port, (wish.host_port_end or wish.host_port) + 1)
            return
        start = self._next_random
        yield from range(start, LAST_RANDOM + 1)
        yield from range(FIRST_RANDOM, start)

    def _is_given(self, port: PublishedPort) -> bool:
        """Every address of a family collides with each address of it."""
        every = EVERY_ADDRESS6 if ":" in port.host_ip else EVERY_ADDRESS
        for host_ip in self._addresses.get((port.proto, port.host_port), ()):
            if host_ip == port.host_ip or (every in (host_ip, port.host_ip) and _same_family(host_ip, every)):
                return True
        return False


def _make_room(sockets: int) -> None:
    """The usual soft limit of 1024 open files is soon reached; raised as it is needed and no further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + 3 * _ROOM
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted * 2 if hard == resource.RLIM_INFINITY else min(hard, wanted * 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _same_family(one: str, other: str) -> bool:
    return (":" in one) is (":" in other)


def _key(port: PublishedPort) -> _Key:
    return (port.proto, port.host_ip, port.host_port)


def _socket(proto: str, host_ip: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    kind = socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM
    number = socket.IPPROTO_SCTP if proto == "sctp" else 0
    try:
        held = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
    except OSError as error:
        if proto == "sctp" and error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            raise unsupported("publishing sctp ports: this kernel has no SCTP (modprobe sctp)") from None
        raise
    if family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return held


def _listen(proto: str, host_ip: str, number: int) -> socket.socket | str:
    """The socket, or why there is none."""
    try:
        held = _socket(proto, host_ip)
    except OSError as error:
        return error.strerror or str(error)
    try:
        if proto == "tcp":
            # Otherwise closed connections that linger would make a free port look taken.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host_ip, number))
        if proto != "udp":
            held.listen(1)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return "port is already allocated (another program of this host listens on it)"
        if error.errno == errno.EADDRNOTAVAIL:
            return "cannot assign requested address (this host has no such address)"
        return error.strerror or str(error)
    return held
