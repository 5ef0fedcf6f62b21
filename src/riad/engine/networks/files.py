"""The text of a container's /etc/hosts and /etc/resolv.conf, pure (hosts(5), resolv.conf(5))."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from riad.engine.networks.model import Address
from riad.kernel.faults import invalid

_LOCAL_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf says, in its order."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def reachable(self, *, ipv6: bool) -> tuple[str, ...]:
        """The servers that a container can ask itself: not those on the host's loopback; IPv6 only where it has it."""
        return tuple(
            server
            for server in self.servers
            if not ip_address(server).is_loopback and ("%" not in server) and (ipv6 or ":" not in server)
        )


def read_resolv_conf(text: str) -> ResolvConf:
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        match line.split("#")[0].split(";")[0].split():
            case ["nameserver", server, *_] if _is_address(server):
                servers.append(server)
            case ["search" | "domain", *domains]:
                search = [domain for domain in domains if domain != "."]
            case ["options", *found]:
                options.extend(found)
    return ResolvConf(tuple(servers), tuple(search), tuple(options))


def resolv_conf(servers: Iterable[str], search: Sequence[str], options: Sequence[str]) -> str:
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append("search " + " ".join(search))
    if options:
        lines.append("options " + " ".join(options))
    return "".join(f"{line}\n" for line in lines)


def hosts(
    *, hostname: str, domain: str, addresses: Iterable[Address], extra: Sequence[str], host_gateway: str | None
) -> str:
    """`extra` holds "name:address" (or "name=address"); the address `host-gateway` is the host as containers see it."""
    text = _LOCAL_HOSTS
    for entry in extra:
        name, address = extra_host(entry)
        if address == "host-gateway":
            if host_gateway is None:
                raise invalid(f"{entry}: host-gateway needs a bridge network; this container has none")
            address = host_gateway
        text += f"{address}\t{name}\n"
    own = f"{hostname}.{domain} {hostname}" if domain else hostname
    for mine in addresses:
        if hostname:
            text += f"{mine}\t{own}\n"
    return text


def extra_host(entry: str) -> tuple[str, str]:
    """Splits one `--add-host`; raises INVALID with Docker's sentence."""
    separator = "=" if "=" in entry else ":"
    name, _, address = entry.partition(separator)
    address = address.removeprefix("[").removesuffix("]")
    if not name or not address:
        raise invalid(f"bad format for add-host: {entry!r}: expected NAME:ADDRESS")
    if address != "host-gateway" and not _is_address(address):
        raise invalid(f"invalid IP address in add-host: {address!r}")
    return name, address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
