"""The nouns: networks, what a container wishes of them, and what it got."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface
from pathlib import Path
from typing import Any

from riad.engine.host.netlink import Interface
from riad.kernel.faults import Fault, Kind, invalid

DEFAULT_NETWORK = "bridge"
PREDEFINED = ("bridge", "host", "none")

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


class Driver(enum.Enum):
    BRIDGE = "bridge"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    HOST = "host"
    NULL = "null"

    @property
    def gives_links(self) -> bool:
        """Containers get a link and addresses of their own."""
        return self in (Driver.BRIDGE, Driver.MACVLAN, Driver.IPVLAN)


class GatewayMode(enum.Enum):
    """How a bridge's containers and the world around reach each other."""

    NAT = "nat"
    """Ports are published on the host's addresses; containers go out under these."""
    ROUTED = "routed"
    """The world knows the way to the containers' own addresses; published ports are open there."""
    ISOLATED = "isolated"
    """The host itself has no address on the bridge."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses of one family in one network, IPv4 or IPv6.

    New ones come from `range`; `reserved` (name → address) are never given.
    """

    subnet: Subnet
    gateway: Address
    range: Subnet | None = None
    reserved: Mapping[str, Address] = field(default_factory=dict)
    by_user: bool = False

    @property
    def version(self) -> int:
        return self.subnet.version

    @property
    def gateway_interface(self) -> Interface:
        return self.interface(self.gateway)

    def interface(self, address: Address) -> Interface:
        """The address with the subnet's prefix."""
        return ip_interface((address.packed, self.subnet.prefixlen))


@dataclass(frozen=True, slots=True)
class Uplink:
    """Where the containers of a macvlan or ipvlan network meet the outside: a link of the host.

    `mode` and `flag` are the driver's own words. `dead_end`: nobody named a parent, so a link of ours that leads
    nowhere joins the containers to each other only.
    """

    parent: str
    mode: str
    flag: str = ""
    dead_end: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    driver: Driver
    created: str
    pool: Pool | None = None
    pool6: Pool | None = None
    more_pools: tuple[Pool, ...] = ()
    """Further subnets of a macvlan or ipvlan network."""
    bridge: str = ""
    uplink: Uplink | None = None
    mtu: int = 1500
    internal: bool = False
    attachable: bool = False
    masquerade: bool = True
    masquerade6: bool = True
    mode: GatewayMode = GatewayMode.NAT
    mode6: GatewayMode = GatewayMode.NAT
    has_gateway_address: bool = True
    """The bridge itself has the gateway's address (`inhibit_ipv4` says otherwise)."""
    between_containers: bool = True
    link_prefix: str = "eth"
    host_binding: str = "0.0.0.0"  # noqa: S104 -- where published ports without an address listen, as Docker's
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    config_from: str = ""
    settings: Mapping[str, Any] | None = None
    """What a network that only holds settings for others (`--config-only`) holds; None for all others."""

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_NETWORK

    @property
    def has_names(self) -> bool:
        """Containers find each other by name on networks that users defined, not on the default one."""
        return self.driver.gives_links and not self.is_default

    @property
    def pools(self) -> tuple[Pool, ...]:
        return tuple(pool for pool in (self.pool, self.pool6, *self.more_pools) if pool is not None)

    def pool_of(self, address: Address) -> Pool:
        """The pool an endpoint's address is from."""
        for pool in self.pools:
            if address in pool.subnet:
                return pool
        raise Fault(Kind.INTERNAL, f"network {self.name} has no subnet with {address}")

    @property
    def bridge_pools(self) -> tuple[Pool, ...]:
        """Those whose gateway is an address of the bridge itself."""
        if self.driver is not Driver.BRIDGE:
            return ()
        asked = (self.pool, self.mode, self.has_gateway_address), (self.pool6, self.mode6, True)
        return tuple(pool for pool, mode, has in asked if pool and has and mode is not GatewayMode.ISOLATED)

    @property
    def answers_at_gateway(self) -> bool:
        """A name server of ours is reached at the gateway; elsewhere it has to be inside the container."""
        return self.pool is not None and self.pool in self.bridge_pools

    @property
    def leads_out(self) -> bool:
        return not self.internal and not (self.uplink is not None and self.uplink.dead_end)

    @property
    def has_default_gateway(self) -> bool:
        """False where the default route is the link itself: layer 3 networks have no neighbour to hand packets to."""
        return not (self.driver is Driver.IPVLAN and self.uplink is not None and self.uplink.mode != "l2")


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """What a container asks of one network; empty means the engine chooses."""

    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    mac: str = ""
    links: tuple[str, ...] = ()
    """NAME:ALIAS of other containers, called ALIAS by this one."""
    ipv6: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Kernel settings of the container's link, the word IFNAME standing for its name."""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    """As they were asked for, to be shown."""


@dataclass(frozen=True, slots=True)
class PortBinding:
    """`host_port` 0 asks for a free one from 32768 up; with `host_port_end` for a free one of that range."""

    container_port: int
    proto: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


@dataclass(frozen=True, slots=True)
class NameWishes:
    """A container's own `--dns`, `--dns-search`, `--dns-option` and `--add-host` ("name:ip")."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """Everything `Networks.prepare` needs to know of a container that is about to start."""

    container_id: str
    name: str = ""
    hostname: str = ""
    domain: str = ""
    networks: Mapping[str, EndpointWish] = field(default_factory=lambda: {DEFAULT_NETWORK: EndpointWish()})
    ports: tuple[PortBinding, ...] = ()
    names: NameWishes = NameWishes()
    owner: Path | None = None
    """The user namespace that the container's network belongs to; None is the host's."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place in a network. `number` is unique in the engine and names the host's end of the pair."""

    id: str
    number: int
    network_id: str
    container_id: str
    address: IPv4Address
    mac: str
    guest_link: str
    aliases: tuple[str, ...] = ()
    address6: IPv6Address | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> tuple[Address, ...]:
        return (self.address,) if self.address6 is None else (self.address, self.address6)


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """`host_port` 0: open at the container's own address (routed networks)."""

    container_port: int
    proto: str
    host_ip: str
    host_port: int


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a container got: `netns` is None on the host's network; `endpoints` by network name, in order."""

    container_id: str
    netns: Path | None
    endpoints: Mapping[str, Endpoint]
    ports: tuple[PublishedPort, ...]


def mac_address(text: str) -> str:
    """The canonical form of a unicast MAC address; raises INVALID."""
    if not _MAC.fullmatch(text):
        raise invalid(
            f"invalid MAC address {text!r}: expected six pairs of hexadecimal digits such as 02:42:ac:14:00:02"
        )
    if int(text[:2], 16) & 1:
        raise invalid(f"invalid MAC address {text!r}: it is a multicast address")
    return text.lower().replace("-", ":")
