"""Which host ports are given to whom.

A given port is held by a listening socket in the daemon, so that no other program of the host, nor a second engine,
takes what our rules would hide from it. Nothing ever reaches the socket: the rules divert every packet before. The
rules outlive the daemon, the sockets do not; they are taken again at start where that is still possible.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from riad.engine.networks.model import PortBinding, PublishedPort
from riad.kernel.faults import Fault, Kind

FIRST_RANDOM, LAST_RANDOM = 32768, 60999
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared with, and what users ask for

_Key = tuple[str, str, int]


class HostPorts:
    """Called from the event loop only: a bind takes microseconds."""

    def __init__(self) -> None:
        self._held: dict[_Key, socket.socket | None] = {}
        self._next_random = FIRST_RANDOM

    def take(self, wishes: Iterable[PortBinding], *, default_host_ip: str) -> tuple[PublishedPort, ...]:
        """Gives all of `wishes` or none; raises INTERNAL with Docker's sentence (and status) where one is taken."""
        taken: list[PublishedPort] = []
        try:
            for wish in wishes:
                taken.append(self._take_one(wish, wish.host_ip or default_host_ip))  # noqa: PERF401 -- given back
        except BaseException:
            self.give_back(taken)
            raise
        return tuple(taken)

    def take_again(self, port: PublishedPort) -> bool:
        """After a restart: the rules are there already. False where another program has taken the port meanwhile."""
        held = _listen(port.proto, port.host_ip, port.host_port)
        self._held[_key(port)] = held if isinstance(held, socket.socket) else None
        return isinstance(held, socket.socket)

    def give_back(self, ports: Iterable[PublishedPort]) -> None:
        """Twice is no error."""
        for port in ports:
            held = self._held.pop(_key(port), None)
            if held is not None:
                held.close()

    def close(self) -> None:
        for held in self._held.values():
            if held is not None:
                held.close()
        self._held.clear()

    def _take_one(self, wish: PortBinding, host_ip: str) -> PublishedPort:
        reason = "port is already allocated"
        for number in self._candidates(wish):
            port = PublishedPort(wish.container_port, wish.proto, host_ip, number)
            if self._is_given(port):
                continue
            held = _listen(port.proto, host_ip, number)
            if isinstance(held, socket.socket):
                self._held[_key(port)] = held
                if not wish.host_port:
                    self._next_random = number + 1 if number < LAST_RANDOM else FIRST_RANDOM
                return port
            reason = held
        asked = f"{wish.host_port}-{wish.host_port_end}" if wish.host_port_end else str(wish.host_port)
        raise Fault(Kind.INTERNAL, f"Bind for {host_ip}:{asked} failed: {reason}")

    def _candidates(self, wish: PortBinding) -> Iterator[int]:
        if wish.host_port:
            yield from range(wish.host_port, (wish.host_port_end or wish.host_port) + 1)
            return
        start = self._next_random
        yield from range(start, LAST_RANDOM + 1)
        yield from range(FIRST_RANDOM, start)

    def _is_given(self, port: PublishedPort) -> bool:
        """0.0.0.0 collides with every address of the same port."""
        for proto, host_ip, number in self._held:
            if (proto, number) == (port.proto, port.host_port) and (
                host_ip == port.host_ip or EVERY_ADDRESS in (host_ip, port.host_ip)
            ):
                return True
        return False


def _key(port: PublishedPort) -> _Key:
    return (port.proto, port.host_ip, port.host_port)


def _listen(proto: str, host_ip: str, number: int) -> socket.socket | str:
    """The socket, or why there is none."""
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    held = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
    try:
        if proto == "tcp":
            # Otherwise closed connections that linger would make a free port look taken.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host_ip, number))
        if proto == "tcp":
            held.listen(1)
    except OSError as error:
        held.close()
        if error.errno == 98:  # EADDRINUSE
            return "port is already allocated (another program of this host listens on it)"
        if error.errno == 99:  # EADDRNOTAVAIL
            return "cannot assign requested address (this host has no such address)"
        return error.strerror or str(error)
    return held
