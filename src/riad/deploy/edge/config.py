"""HAProxy's configuration and map, as text. Pure. Valid for HAProxy 2.4 to 3.0.

One frontend. Riad's own name comes first, which no service may take over where it lies below the service domain; then
the map of hosts: a service's host name → its backend. Any other name below the service domain gets a page that says
so; everything else is Riad. Backends are made beforehand, one per slot: HAProxy's runtime API cannot make one. A
running HAProxy is never reloaded: roll-outs speak to its admin socket, and these files are what it comes up with when
it is started again.

Why the settings are as they are:
- `http-server-close`: a connection to a container is not kept after its answer. A kept one that the application
  closes at the wrong moment loses a POST, and an old release could not be drained while idle connections linger.
- no `check` on servers: roll-outs probe a release before it gets traffic; with one server in a backend a check could
  only turn a slow answer into an error page.
- `retries`, a second apart: a container or server that is being started again costs patience, not an error. They only
  concern connections that were not accepted, so no request is sent twice. `redispatch 1` chooses anew at each of them:
  a request that waits finds the service at its new address.
- `timeout http-request` bounds the head of a request only; a push of many gigabytes may take its time, as long as
  bytes flow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from riad.deploy.edge import pages
from riad.deploy.edge.port import Route, Upstream
from riad.kernel.faults import invalid

CONFIG = "haproxy.cfg"
HOSTS = "hosts.map"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@\[\]*+-]+")


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`binds`: `*:8080`, `:::8080 v6only` … as HAProxy writes addresses. `riad`: `unix@/path` or HOST:PORT of Riad's
    server. `folder` holds the files, `admin_socket` is the runtime API. `domain`: services are NAME.domain."""

    folder: Path
    admin_socket: Path
    binds: tuple[str, ...]
    riad: str
    riad_url: str
    domain: str = "localhost"
    slots: int = 128
    threads: int = 2


def backend(slot: int) -> str:
    return f"service-{slot:03}"


def edge_files(settings: EdgeSettings, routes: Mapping[Route, Upstream | None]) -> dict[str, str]:
    """Every file of the edge's folder by name."""
    return {
        CONFIG: haproxy_config(settings, {route.slot: upstream for route, upstream in routes.items()}),
        HOSTS: "".join(f"{route.host} {backend(route.slot)}\n" for route in sorted(routes, key=lambda r: r.slot)),
        "no-such-service.html": pages.no_such_service(settings.riad_url),
        "service-down.http": pages.service_down(),
        "riad-down.http": pages.riad_down(),
    }


def haproxy_config(settings: EdgeSettings, upstreams: Mapping[int, Upstream | None]) -> str:
    """The main file; `upstreams` by slot. Raises INVALID where a path or address cannot be written in it."""
    folder = _plain(settings.folder)
    binds = "\n".join(f"    bind {' '.join(_plain(word) for word in bind.split())}" for bind in settings.binds)
    suffix = f".{_plain(settings.domain)}"
    own = urlsplit(settings.riad_url).hostname or "localhost"
    return f"""\
# Written by Riad; changes are lost.
global
    stats socket {_plain(settings.admin_socket)} mode 600 level admin expose-fd listeners
    stats timeout 1m
    maxconn 4096
    nbthread {settings.threads}
    hard-stop-after 30s

defaults edge
    mode http
    option http-server-close
    option forwardfor
    option clitcpka
    option srvtcpka
    option redispatch 1
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 24h
    timeout client-fin 30s
    timeout http-request 30s
    timeout http-keep-alive 75s
    timeout queue 30s

frontend edge
{binds}
    http-request set-var(txn.host) req.hdr(host),lower,regsub(:[0-9]*$,),regsub([.]$,)
    http-request del-header X-Forwarded-For
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-var(txn.backend) var(txn.host),map_str({folder}/{HOSTS})
    use_backend riad if {{ var(txn.host) -m str {_plain(own)} }}
    use_backend %[var(txn.backend)] if {{ var(txn.backend) -m found }}
    use_backend no-such-service if {{ var(txn.host) -m end {suffix} }}
    default_backend riad

backend riad from edge
    errorfile 503 {folder}/riad-down.http
    retries 10
    server riad {_plain(settings.riad)}

backend no-such-service from edge
    http-request set-var(txn.shown) var(txn.host),regsub([^a-z0-9.-],,g)
    http-request return status 404 content-type "text/html; charset=utf-8" lf-file {folder}/no-such-service.html

defaults services from edge
    errorfile 503 {folder}/service-down.http
    timeout connect 2s
    retries 5

{"".join(_backend(slot, upstreams.get(slot)) for slot in range(1, settings.slots + 1))}"""


def _backend(slot: int, upstream: Upstream | None) -> str:
    server = f"    server {upstream.name} {address(upstream)}\n" if upstream is not None else ""
    return f"backend {backend(slot)} from services\n{server}"


def address(upstream: Upstream) -> str:
    return f"[{upstream.host}]:{upstream.port}" if ":" in upstream.host else f"{upstream.host}:{upstream.port}"


def _plain(value: Path | str) -> str:
    text = str(value)
    if not _PLAIN.fullmatch(text):
        raise invalid(f"{text!r} cannot be written into HAProxy's configuration; use letters, digits and ._/:@- only")
    return text
