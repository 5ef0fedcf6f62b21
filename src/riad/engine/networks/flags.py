"""dockerd's flags about networks, as `riad engine` takes them: read once, at the start. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TypeVar

from riad.engine.networks.addresses import DEFAULT_SOURCES, source_of
from riad.engine.networks.model import NameWishes
from riad.engine.networks.networks import NetworkSettings
from riad.kernel.faults import invalid

S = TypeVar("S", IPv4Network, IPv6Network)


@dataclass(frozen=True, slots=True)
class NetworkFlags:
    """Texts as given; empty: not given. `pools` are those of `--default-address-pool`."""

    bip: str = ""
    fixed_cidr: str = ""
    ipv6: bool = False
    fixed_cidr_v6: str = ""
    ip: str = ""
    pools: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()

    def settings(self, instance: str, exec_root: Path) -> NetworkSettings:
        """Raises INVALID naming the flag."""
        bip = _bip(self.bip)
        fixed = _subnet("--fixed-cidr", self.fixed_cidr, IPv4Network)
        if fixed is not None and (bip is None or not fixed.subnet_of(bip.network)):
            raise invalid(f"--fixed-cidr {fixed}: expected a part of the network of --bip, which has to be given, too")
        return NetworkSettings(
            instance=instance,
            exec_root=exec_root,
            bip=bip,
            fixed_cidr=fixed,
            ipv6=self.ipv6,
            fixed_cidr_v6=_subnet("--fixed-cidr-v6", self.fixed_cidr_v6, IPv6Network),
            host_binding=_ip(self.ip),
            sources=tuple(map(source_of, self.pools)) or DEFAULT_SOURCES,
            names=NameWishes(_servers(self.dns), self.dns_search, self.dns_options),
        )


def _bip(text: str) -> IPv4Interface | None:
    if not text:
        return None
    try:
        found = IPv4Interface(text)
    except ValueError:
        raise invalid(f"--bip {text}: expected an address with its prefix, such as 172.20.0.1/24") from None
    if found.network.prefixlen > 30 or found.ip in (found.network.network_address, found.network.broadcast_address):
        raise invalid(f"--bip {text}: expected the gateway's own address with a prefix of at most 30")
    return found


def _subnet(flag: str, text: str, kind: type[S]) -> S | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise invalid(f"{flag} {text}: {error}") from None


def _ip(text: str) -> str:
    try:
        return str(IPv4Address(text or "0.0.0.0"))  # noqa: S104 -- Docker's default
    except ValueError:
        raise invalid(f"--ip {text}: expected an IPv4 address of this host, such as 127.0.0.1") from None


def _servers(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ip_address(text)
        except ValueError:
            raise invalid(f"--dns {text}: expected the address of a name server") from None
    return texts
