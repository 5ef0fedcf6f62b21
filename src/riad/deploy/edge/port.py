"""The edge as roll-outs see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Route:
    """A service's place at the edge: `host` (without port) and `slot`, from 1."""

    host: str
    slot: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """One release of a service: `name` is unique within its route, as `r7`."""

    name: str
    host: str
    port: int


class Edge(Protocol):
    """Contract (tests/contract/edge). Every method may be repeated, and called for different routes at once; for one
    route one at a time. A method that returned took effect for every request that arrives from then on. All raise
    UNAVAILABLE where the edge cannot be reached; then it is unknown what took effect, and the call is repeated later.
    """

    async def serve(self, route: Route, upstream: Upstream) -> None:
        """New requests go to `upstream` and to no other. Existing connections, WebSockets too, stay where they are.

        An upstream of the same name and another address moves to it. Between before and after no request is lost.
        """

    async def connections(self, route: Route, name: str) -> int:
        """How many requests and tunnels `name` still has; 0 where it is unknown."""

    async def remove(self, route: Route, name: str) -> None:
        """Forgets an upstream that no longer serves; what connections it has are cut. Unknown: nothing to do.

        Raises CONFLICT where it serves.
        """

    async def close(self, route: Route) -> None:
        """Nothing answers on the route's host any more; its upstreams are forgotten, their connections cut."""
