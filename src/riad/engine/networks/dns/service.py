"""Which resolver each container gets, and a name server at every bridge that needs one.

On bridges that users defined the gateway answers names of containers and forwards everything else. On the default
bridge containers ask the host's resolvers themselves, as far as they can reach them; where the host has only
resolvers on its loopback (systemd-resolved, dnsmasq), the default bridge's gateway forwards, too. Where the host is
not on the network itself (macvlan, ipvlan, isolated bridges) the server is inside the container, at 127.0.0.11.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

from riad.engine.networks.directory import Directory
from riad.engine.networks.dns import forward, message
from riad.engine.networks.dns.message import Code, Query, Type
from riad.engine.networks.dns.names import Asker, asker, asker_of, resolve, reverse
from riad.engine.networks.dns.pointing import INSIDE, point
from riad.engine.networks.dns.server import PORT, NameServer
from riad.engine.networks.endpoints import Own, way_out
from riad.engine.networks.files import ResolvConf, read_resolv_conf, resolv_conf
from riad.engine.networks.model import Address, NameWishes, Network
from riad.engine.networks.ruleset import ResolverRule, Rule
from riad.engine.networks.store import SandboxRow
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.dns")

_NOTHING = NameWishes()


class NameService:
    def __init__(
        self,
        directory: Directory,
        *,
        host_file: Path = Path("/etc/resolv.conf"),
        upstream_port: int = forward.PORT,
        defaults: NameWishes = _NOTHING,
    ) -> None:
        self._defaults = defaults
        self._directory = directory
        self._host_file = host_file
        self._upstream_port = upstream_port
        self._servers: dict[str, NameServer] = {}
        self._rules: dict[str, list[Rule]] = {}
        self._pointed: dict[str, IPv4Address | None] = {}

    async def serve(self, network: Network) -> list[Rule]:
        """Starts answering at the bridge's gateway; returns the rules that lead queries there, if any are needed."""
        if network.id in self._servers or network.pool is None or not self._is_needed(network):
            return self._rules.get(network.id, [])

        async def answer(data: bytes, source: IPv4Address, by_tcp: bool) -> bytes | None:
            return await self._answer(asker(self._directory, network, source), data, by_tcp=by_tcp)

        gateway = network.pool.gateway
        if not isinstance(gateway, IPv4Address):
            return []
        server = NameServer(answer)
        try:
            await server.start(gateway)
        except OSError as error:
            _log.error("names are not served", extra=logs.fields(network=network.name, error=str(error)))
            return []
        self._servers[network.id] = server
        redirect = ResolverRule(gateway, server.port)
        self._rules[network.id] = [] if server.port == PORT else [redirect]
        return self._rules[network.id]

    async def serve_inside(self, row: SandboxRow, own: Own, namespace: Path) -> None:
        """Makes 127.0.0.11 answer inside the container: it leads to a gateway of its networks, where one answers.

        Where none does, a server is bound inside; what listens on port 53 there already keeps it. Called again when
        its networks have changed.
        """
        await self._point(row.container_id, own, namespace)
        if not needs_inside(own):
            await self._stop_server(row.container_id)
            return
        if row.container_id in self._servers:
            return

        async def answer(data: bytes, _: IPv4Address, by_tcp: bool) -> bytes | None:
            return await self._answer(asker_of(self._directory, row.container_id), data, by_tcp=by_tcp)

        server = NameServer(answer)
        try:
            await server.start_inside(namespace, INSIDE)
        except OSError as error:
            _log.error("names are not served", extra=logs.fields(container=row.container_id[:12], error=str(error)))
            return
        self._servers[row.container_id] = server

    async def _point(self, container_id: str, own: Own, namespace: Path) -> None:
        named = [pair for pair in own if pair[0].has_names]
        server = _own_server(named) if named else INSIDE
        wanted = server if isinstance(server, IPv4Address) and server != INSIDE else None
        if self._pointed.get(container_id) == wanted:
            return
        try:
            await asyncio.to_thread(point, namespace, wanted)
        except (OSError, Fault) as error:  # names are found all the same, by resolv.conf
            _log.info("127.0.0.11 leads nowhere", extra=logs.fields(container=container_id[:12], error=str(error)))
            return
        self._pointed[container_id] = wanted

    async def stop_inside(self, container_id: str) -> None:
        """Twice is no error."""
        self._pointed.pop(container_id, None)
        await self._stop_server(container_id)

    async def _stop_server(self, container_id: str) -> None:
        server = self._servers.pop(container_id, None)
        if server is not None:
            await server.stop()

    async def stop(self, network: Network) -> list[Rule]:
        """Stops answering; returns the rules to remove. Twice is no error."""
        server = self._servers.pop(network.id, None)
        if server is not None:
            await server.stop()
        return self._rules.pop(network.id, [])

    async def close(self) -> None:
        for server in self._servers.values():
            await server.stop()
        self._servers.clear()
        self._rules.clear()

    def resolv_conf(self, row: SandboxRow, own: Own) -> str:
        """The text of the container's /etc/resolv.conf."""
        host = self._host()
        search = row.names.search or self._defaults.search or host.search
        options = row.names.options or self._defaults.options or host.options
        asked = row.names.servers or self._defaults.servers
        if row.on_host:
            return resolv_conf(asked or host.servers, search, options)
        named = [pair for pair in own if pair[0].has_names]
        if not named:
            ipv6 = any(endpoint.address6 is not None for _, endpoint in own)
            servers = asked or host.reachable(ipv6=ipv6) or self._default_gateway()
            return resolv_conf(servers, search, options)
        if not any(option.startswith("ndots:") for option in options):
            options = (*options, "ndots:0")  # a container's name is tried as it is before any search domain
        return resolv_conf([str(_own_server(named))], [domain for domain in search if domain != "."], options)

    def _is_needed(self, network: Network) -> bool:
        if not network.answers_at_gateway:
            return False
        return network.has_names or (network.is_default and not self._host().reachable(ipv6=False))

    def _default_gateway(self) -> list[str]:
        return [
            str(network.pool.gateway)
            for network in self._directory.networks()
            if network.is_default and network.pool is not None
        ]

    def _host(self) -> ResolvConf:
        try:
            return read_resolv_conf(self._host_file.read_text(errors="replace"))
        except OSError:
            return ResolvConf()

    async def _answer(self, who: Asker | None, data: bytes, *, by_tcp: bool) -> bytes | None:
        try:
            query = message.parse_query(data)
        except message.NotAQueryError:
            return message.format_error(data)
        if not query.is_plain:
            return message.failure(query, Code.NOT_IMPLEMENTED)
        own = self._own_answer(query, who) if who is not None else None
        if own is not None:
            return own if by_tcp or len(own) <= message.LARGEST_DATAGRAM else message.shortened(query)
        if who is not None and not who.may_ask_outside:
            return message.failure(query, Code.SERVER_FAILURE)
        own_servers = who.row.names.servers if who is not None else ()
        servers = own_servers or self._defaults.servers or self._host().servers
        ask = forward.by_tcp if by_tcp else forward.by_udp
        response = await ask(query, data, servers, port=self._upstream_port)
        return response or message.failure(query, Code.SERVER_FAILURE)

    def _own_answer(self, query: Query, who: Asker) -> bytes | None:
        """None where the question is not about a container."""
        if not query.is_internet:
            return None
        if query.type == Type.PTR:
            address = message.address_of_pointer(query.name)
            name = reverse(self._directory, who, address) if address is not None else None
            return message.pointer(query, name) if name is not None else None
        found = resolve(self._directory, who, query.name)
        if not found:
            return None
        # The name exists: asked for anything but its addresses it has no data, which is not "no such name".
        version = {Type.A: 4, Type.AAAA: 6}.get(Type(query.type)) if query.type in tuple(Type) else None
        return message.addresses(query, [address for address in found if address.version == version])


def needs_inside(own: Own) -> bool:
    named = [network for network, _ in own if network.has_names]
    return bool(named) and not any(network.answers_at_gateway for network in named)


def _own_server(named: Own) -> Address:
    """The server that a container with names asks: the gateway of its way out, of another network, or inside."""
    answering = [pair for pair in named if pair[0].answers_at_gateway]
    first = way_out(answering) or (answering[0] if answering else None)
    return INSIDE if first is None or first[0].pool is None else first[0].pool.gateway
