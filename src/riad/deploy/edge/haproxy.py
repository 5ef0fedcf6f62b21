"""The edge with HAProxy: servers are added to and taken from its backends while it runs (management guide, 9.3).

HAProxy answers in text; a command that succeeded says nothing or one known sentence, so after a change the state is
what is looked at, not the sentence. Adding a server leaves it in maintenance; enabling it is the moment of the switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from riad.deploy.edge.admin import AdminSocket
from riad.deploy.edge.config import HOSTS, address, backend
from riad.deploy.edge.port import Route, Upstream
from riad.kernel.faults import Fault, Kind, conflict

_MAINTENANCE = 0x01 | 0x02 | 0x20  # forced, inherited, by a failed name resolution
_DRAINING = 0x08 | 0x10  # forced, inherited


@dataclass(frozen=True, slots=True)
class Server:
    """One line of `show servers state`."""

    name: str
    host: str
    port: int
    admin_state: int

    @property
    def serving(self) -> bool:
        return not self.admin_state & (_MAINTENANCE | _DRAINING)


class HaproxyEdge:
    """`folder` holds the files of `config.edge_files`, from which the HAProxy behind `admin_socket` was started."""

    def __init__(self, admin_socket: Path, folder: Path) -> None:
        self._admin = AdminSocket(admin_socket)
        self._map = folder / HOSTS
        self._prefix: str | None = None

    async def serve(self, route: Route, upstream: Upstream) -> None:
        servers = await self._servers(route)
        known = servers.get(upstream.name)
        if known is None:
            await self._add(route, upstream)
        elif (known.host, known.port) != (upstream.host, upstream.port):
            await self._admin.say(
                f"set server {backend(route.slot)}/{upstream.name} addr {upstream.host} port {upstream.port}"
            )
        if known is None or not known.serving:
            await self._admin.say(f"set server {backend(route.slot)}/{upstream.name} state ready")
        for other in servers.values():
            if other.name != upstream.name and other.serving:
                await self._admin.say(f"set server {backend(route.slot)}/{other.name} state drain")
        await self._route(route)
        now = (await self._servers(route)).get(upstream.name)
        if now is None or not now.serving or (now.host, now.port) != (upstream.host, upstream.port):
            raise Fault(Kind.INTERNAL, f"the edge did not take {address(upstream)} for {route.host}: it has {now}")

    async def connections(self, route: Route, name: str) -> int:
        for line in (await self._admin.say("show stat -1 4 -1")).splitlines():
            fields = line.split(",")
            if fields[:2] == [backend(route.slot), name]:
                return int(fields[4] or 0) + int(fields[2] or 0)
        return 0

    async def remove(self, route: Route, name: str) -> None:
        server = (await self._servers(route)).get(name)
        if server is None:
            return
        if server.serving:
            raise conflict(f"{name} serves {route.host}; another release has to serve first")
        await self._delete(route, name)

    async def close(self, route: Route) -> None:
        if route.host in await self._hosts():
            await self._admin.say(f"del map {self._map} {route.host}")
        for name in await self._servers(route):
            await self._delete(route, name)

    async def _add(self, route: Route, upstream: Upstream) -> None:
        prefix = await self._experimental()
        answer = await self._admin.say(f"{prefix}add server {backend(route.slot)}/{upstream.name} {address(upstream)}")
        if upstream.name not in await self._servers(route):
            raise Fault(Kind.INTERNAL, f"the edge did not add {address(upstream)} for {route.host}: {answer}")

    async def _delete(self, route: Route, name: str) -> None:
        server = f"{backend(route.slot)}/{name}"
        prefix = await self._experimental()
        await self._admin.say(f"set server {server} state maint")
        answer = ""
        for _ in range(20):
            await self._admin.say(f"shutdown sessions server {server}")
            answer = await self._admin.say(f"{prefix}del server {server}")
            if name not in await self._servers(route):
                return
        raise Fault(Kind.INTERNAL, f"the edge did not remove {server}: {answer}")

    async def _route(self, route: Route) -> None:
        now = (await self._hosts()).get(route.host)
        if now is None:
            await self._admin.say(f"add map {self._map} {route.host} {backend(route.slot)}")
        elif now != backend(route.slot):
            await self._admin.say(f"set map {self._map} {route.host} {backend(route.slot)}")

    async def _hosts(self) -> dict[str, str]:
        lines = (await self._admin.say(f"show map {self._map}")).splitlines()
        return {fields[1]: fields[2] for fields in map(str.split, lines) if len(fields) == 3}

    async def _servers(self, route: Route) -> dict[str, Server]:
        text = await self._admin.say(f"show servers state {backend(route.slot)}")
        if "be_id" not in text:
            raise Fault(Kind.INTERNAL, f"the edge knows no backend {backend(route.slot)}: {text}")
        return {server.name: server for server in parse_servers(text)}

    async def _experimental(self) -> str:
        """HAProxy before 2.6 adds servers in experimental mode only."""
        if self._prefix is None:
            info = await self._admin.say("show info")
            version = next((line[9:] for line in info.splitlines() if line.startswith("Version: ")), "2.6")
            major, minor = (int(part) for part in version.split(".")[:2])
            self._prefix = "experimental-mode on; " if (major, minor) < (2, 6) else ""
        return self._prefix


def parse_servers(text: str) -> list[Server]:
    """Reads `show servers state` by its header line (format version 1). Pure."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("# ")), "# ")[2:].split()
    rows = [dict(zip(header, line.split(), strict=False)) for line in lines if line[0].isdigit() and " " in line]
    return [Server(row["srv_name"], row["srv_addr"], int(row["srv_port"]), int(row["srv_admin_state"])) for row in rows]
