"""Ports for what tests start: free now, and nobody else's until this process ends, in other test runs neither."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 20000, 32000
"""Below the range from which the kernel gives ports to connections (net.ipv4.ip_local_port_range)."""
_claims: list[socket.socket] = []
"""A socket with an abstract name for each port that was given out: held until the process ends, leaves no file."""


def free_port() -> int:
    for port in random.sample(range(_FIRST, _LAST), 200):
        if _claim(port) and _is_free(port):
            return port
    raise AssertionError(f"no port from {_FIRST} to {_LAST} is free")


def _claim(port: int) -> bool:
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0riad-tests-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("", port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("", port))
    except OSError:
        return False
    return True
