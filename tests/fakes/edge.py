"""An edge in memory: keeps the contract of `riad.deploy.edge.port.Edge`, moves no byte.

Steering: `fail_next("serve")` makes one call find no edge; `open_connections[(host, name)] = 2` are connections that
last until they are cut; `away = True` is an edge that is not running.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from riad.deploy.edge.port import Route, Upstream
from riad.kernel.faults import conflict, unavailable


@dataclass
class Backend:
    serving: str | None = None
    upstreams: dict[str, Upstream] = field(default_factory=dict)


class FakeEdge:
    def __init__(self) -> None:
        self.backends: dict[Route, Backend] = {}
        self.open_connections: dict[tuple[str, str], int] = {}
        self.cut: list[tuple[str, str, int]] = []
        self.away = False
        self.calls: list[tuple[str, str]] = []
        self._failures: list[str] = []

    def fail_next(self, method: str) -> None:
        self._failures.append(method)

    def answers(self, host: str) -> Upstream | None:
        """Which upstream a request for `host` would reach now."""
        for route, backend in self.backends.items():
            if route.host == host and backend.serving is not None:
                return backend.upstreams[backend.serving]
        return None

    def upstreams(self, host: str) -> set[str]:
        return {name for route, backend in self.backends.items() if route.host == host for name in backend.upstreams}

    async def serve(self, route: Route, upstream: Upstream) -> None:
        self._enter("serve", upstream.name)
        backend = self.backends.setdefault(route, Backend())
        backend.upstreams[upstream.name] = upstream
        backend.serving = upstream.name

    async def connections(self, route: Route, name: str) -> int:
        self._enter("connections", name)
        return self.open_connections.get((route.host, name), 0)

    async def remove(self, route: Route, name: str) -> None:
        self._enter("remove", name)
        backend = self.backends.get(route, Backend())
        if backend.serving == name:
            raise conflict(f"{name} serves {route.host}")
        if backend.upstreams.pop(name, None) is not None:
            self._cut(route, name)

    async def close(self, route: Route) -> None:
        self._enter("close", route.host)
        for name in self.backends.pop(route, Backend()).upstreams:
            self._cut(route, name)

    def _cut(self, route: Route, name: str) -> None:
        if count := self.open_connections.pop((route.host, name), 0):
            self.cut.append((route.host, name, count))

    def _enter(self, method: str, about: str) -> None:
        self.calls.append((method, about))
        if self.away or method in self._failures:
            if not self.away:
                self._failures.remove(method)
            raise unavailable("the edge is not running")
