"""Keeps web pages away from an engine that listens on a loopback port without TLS.

Every page that a user of this host opens can send requests to 127.0.0.1, and a name server that the page's author owns
can make them look like the page's own. Browsers mark such requests (Fetch standard: `Origin`, `Sec-Fetch-Site`), and
they name the page's host; docker's clients do neither.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from riad.engine.access.addresses import is_loopback
from riad.kernel.faults import denied

_CLIENTS_OWN = frozenset({"docker", "api.moby.localhost", ""})
"""What docker's clients write where the address is no host name."""


@web.middleware
async def programs_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises DENIED for a request that a browser sent, on TCP."""
    transport = request.transport
    own = transport.get_extra_info("socket") if transport is not None else None
    if own is not None and own.family != socket.AF_UNIX:
        _check(request)
    return await handler(request)


def _check(request: web.Request) -> None:
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        raise denied("riad: the engine answers no web pages")
    if host not in _CLIENTS_OWN and not is_loopback(host):
        raise denied(f"riad: the engine on loopback is not called {host[:100]!r}; use 127.0.0.1 or localhost")
