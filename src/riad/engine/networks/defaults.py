"""The default bridge as the daemon's flags want it (`--bip`, `--fixed-cidr`, `--ipv6`, `--fixed-cidr-v6`). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Network

from riad.engine.networks import addresses, ipam
from riad.engine.networks.ipam import Taken
from riad.engine.networks.model import DEFAULT_NETWORK, Driver, Network, Pool, Subnet
from riad.kernel.faults import conflict, invalid


@dataclass(frozen=True, slots=True)
class DefaultBridge:
    """`bridge`: the link's name. `fixed` narrows the addresses of `bip`; `fixed6` is the IPv6 subnet, `ipv6` any."""

    bridge: str
    mtu: int = 1500
    bip: IPv4Interface | None = None
    fixed: IPv4Network | None = None
    ipv6: bool = False
    fixed6: IPv6Network | None = None
    host_binding: str = "0.0.0.0"  # noqa: S104 -- Docker's default

    def fits(self, known: Network) -> bool:
        """Whether a bridge of an earlier start is what the flags ask for now."""
        pool, pool6 = known.pool, known.pool6
        if pool is None or (self.bip is not None and pool.gateway_interface != self.bip):
            return False
        if self.fixed is not None and pool.range != self.fixed:
            return False
        if known.host_binding != self.host_binding or self.wants_ipv6 is not (pool6 is not None):
            return False
        return self.fixed6 is None or (pool6 is not None and pool6.subnet == self.fixed6)

    @property
    def wants_ipv6(self) -> bool:
        return self.ipv6 or self.fixed6 is not None

    def made(self, known: Network | None, taken: Taken, *, network_id: str, moment: str) -> Network:
        """Raises EXHAUSTED where no subnet is free, INVALID for flags that contradict each other."""
        return Network(
            id=known.id if known is not None else network_id,
            name=DEFAULT_NETWORK,
            driver=Driver.BRIDGE,
            created=known.created if known is not None else moment,
            pool=self._pool(known, taken),
            pool6=self._pool6(known, taken),
            bridge=self.bridge,
            mtu=known.mtu if known is not None else self.mtu,
            host_binding=self.host_binding,
        )

    def _pool(self, known: Network | None, taken: Taken) -> Pool:
        narrowed = str(self.fixed) if self.fixed is not None else ""
        if self.bip is not None:
            return addresses.pool_for(self.bip.network, gateway=str(self.bip.ip), ip_range=narrowed)
        if self.fixed is not None:
            raise invalid("--fixed-cidr needs --bip: it narrows the addresses of that network")
        if known is not None and known.pool is not None and known.pool.range is None:
            return known.pool
        return ipam.chosen_ipv4(taken)

    def _pool6(self, known: Network | None, taken: Taken) -> Pool | None:
        if self.fixed6 is not None:
            return addresses.pool_for(self.fixed6)
        if not self.ipv6:
            return None
        if known is not None and known.pool6 is not None:
            return replace(known.pool6, by_user=False)
        return ipam.chosen_ipv6(taken)

    def check(self, others: Iterable[Network], busy: Collection[str]) -> None:
        """Raises CONFLICT where a subnet of the flags is that of a network where containers run."""
        for network in others:
            bip = self.bip.network if self.bip is not None else None
            for flag, subnet in (("--bip", bip), ("--fixed-cidr-v6", self.fixed6)):
                if subnet is not None and network.id in busy and _overlaps(network, subnet):
                    raise conflict(
                        f"{flag} {subnet} overlaps the network {network.name}, where containers run:"
                        " choose another, or stop them first"
                    )


def _overlaps(network: Network, subnet: Subnet) -> bool:
    return any(pool.subnet.overlaps(subnet) for pool in network.pools)
