"""Which resolver each container gets, and a name server at every bridge that needs one.

On bridges that users defined the gateway answers names of containers and forwards everything else. On the default
bridge containers ask the host's resolvers themselves, as far as they can reach them; where the host has only
resolvers on its loopback (systemd-resolved, dnsmasq), the default bridge's gateway forwards, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from riad.engine.networks.directory import Directory
from riad.engine.networks.dns import forward, message
from riad.engine.networks.dns.message import Code, Query, Type
from riad.engine.networks.dns.names import Asker, asker, resolve, reverse
from riad.engine.networks.dns.server import PORT, NameServer
from riad.engine.networks.endpoints import way_out
from riad.engine.networks.files import ResolvConf, read_resolv_conf, resolv_conf
from riad.engine.networks.model import Driver, Endpoint, Network
from riad.engine.networks.ruleset import ResolverRule, Rule
from riad.engine.networks.store import SandboxRow
from riad.kernel import logs

_log = logs.named("engine.dns")


class NameService:
    def __init__(
        self, directory: Directory, *, host_file: Path = Path("/etc/resolv.conf"), upstream_port: int = forward.PORT
    ) -> None:
        self._directory = directory
        self._host_file = host_file
        self._upstream_port = upstream_port
        self._servers: dict[str, NameServer] = {}
        self._rules: dict[str, list[Rule]] = {}

    async def serve(self, network: Network) -> list[Rule]:
        """Starts answering at the bridge's gateway; returns the rules that lead queries there, if any are needed."""
        if network.id in self._servers or network.pool is None or not self._is_needed(network):
            return self._rules.get(network.id, [])

        async def answer(data: bytes, source: IPv4Address, by_tcp: bool) -> bytes | None:
            return await self._answer(network, data, source, by_tcp=by_tcp)

        server = NameServer(answer)
        try:
            await server.start(network.pool.gateway)
        except OSError as error:
            _log.error("names are not served", extra=logs.fields(network=network.name, error=str(error)))
            return []
        self._servers[network.id] = server
        redirect = ResolverRule(network.pool.gateway, server.port)
        self._rules[network.id] = [] if server.port == PORT else [redirect]
        return self._rules[network.id]

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

    def resolv_conf(self, row: SandboxRow, networks: Sequence[tuple[Network, Endpoint]]) -> str:
        """The text of the container's /etc/resolv.conf."""
        host = self._host()
        search = row.names.search or host.search
        options = row.names.options or host.options
        if row.on_host:
            return resolv_conf(row.names.servers or host.servers, search, options)
        named = [pair for pair in networks if pair[0].has_names]
        if not named:
            return resolv_conf(row.names.servers or host.reachable or self._default_gateway(), search, options)
        first = way_out(named) or named[0][1]
        gateway = next(network.pool.gateway for network, each in named if each is first and network.pool)
        if not any(option.startswith("ndots:") for option in options):
            options = (*options, "ndots:0")  # a container's name is tried as it is before any search domain
        return resolv_conf([str(gateway)], [domain for domain in search if domain != "."], options)

    def _is_needed(self, network: Network) -> bool:
        return network.has_names or (network.is_default and not self._host().reachable)

    def _default_gateway(self) -> list[str]:
        return [
            str(network.pool.gateway)
            for network in self._directory.networks()
            if network.is_default and network.driver is Driver.BRIDGE and network.pool is not None
        ]

    def _host(self) -> ResolvConf:
        try:
            return read_resolv_conf(self._host_file.read_text(errors="replace"))
        except OSError:
            return ResolvConf()

    async def _answer(self, network: Network, data: bytes, source: IPv4Address, *, by_tcp: bool) -> bytes | None:
        try:
            query = message.parse_query(data)
        except message.NotAQueryError:
            return message.format_error(data)
        if not query.is_plain:
            return message.failure(query, Code.NOT_IMPLEMENTED)
        who = asker(self._directory, network, source)
        own = self._own_answer(query, who) if who is not None else None
        if own is not None:
            return own if by_tcp or len(own) <= message.LARGEST_DATAGRAM else message.shortened(query)
        if who is not None and not who.may_ask_outside:
            return message.failure(query, Code.SERVER_FAILURE)
        servers = (who.row.names.servers if who is not None else ()) or self._host().servers
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
        # The name exists: asked for anything but its IPv4 addresses it has no data, which is not "no such name".
        return message.addresses(query, found if query.type == Type.A else [])
