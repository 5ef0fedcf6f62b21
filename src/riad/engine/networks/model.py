"""The nouns: networks, what a container wishes of them, and what it got."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from riad.kernel.faults import invalid, unsupported

DEFAULT_NETWORK = "bridge"
PREDEFINED = ("bridge", "host", "none")

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_HOST_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class Driver(enum.Enum):
    BRIDGE = "bridge"
    HOST = "host"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses of one network. New ones come from `range`; `reserved` (name → address) are never given."""

    subnet: IPv4Network
    gateway: IPv4Address
    range: IPv4Network | None = None
    reserved: Mapping[str, IPv4Address] = field(default_factory=dict)
    by_user: bool = False

    @property
    def gateway_interface(self) -> IPv4Interface:
        return IPv4Interface((self.gateway, self.subnet.prefixlen))


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    driver: Driver
    created: str
    pool: Pool | None = None
    bridge: str = ""
    mtu: int = 1500
    internal: bool = False
    attachable: bool = False
    masquerade: bool = True
    between_containers: bool = True
    host_binding: str = "0.0.0.0"  # noqa: S104 -- where published ports without an address listen, as Docker's
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    ipam_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_default(self) -> bool:
        return self.name == DEFAULT_NETWORK

    @property
    def has_names(self) -> bool:
        """Containers find each other by name on bridges that users defined, not on the default one."""
        return self.driver is Driver.BRIDGE and not self.is_default


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """What a container asks of one network; empty means the engine chooses."""

    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    mac: str = ""
    links: tuple[str, ...] = ()
    """NAME:ALIAS of other containers, called ALIAS by this one."""


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


@dataclass(frozen=True, slots=True)
class PublishedPort:
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


def binding(container_port: int, proto: str, *, host_ip: str = "", host_port: str = "") -> PortBinding:
    """Reads Docker's HostIp and HostPort ("", "8080" or "8000-8010"); raises INVALID or UNSUPPORTED."""
    if proto not in ("tcp", "udp"):
        raise unsupported(f"publishing {container_port}/{proto}: only tcp and udp ports can be published")
    if not 0 < container_port < 65536:
        raise invalid(f"invalid port specification: {container_port}/{proto}: ports are 1 to 65535")
    if ":" in host_ip:
        raise unsupported(f"publishing on {host_ip}: IPv6 is not supported yet; publish on an IPv4 address")
    if host_ip:
        try:
            IPv4Address(host_ip)
        except ValueError:
            raise invalid(f"invalid host address {host_ip!r}: expected an IPv4 address such as 127.0.0.1") from None
    numbers = _HOST_PORTS.fullmatch(host_port or "0")
    if numbers is None:
        raise invalid(f"invalid port specification: {host_port!r}: expected a number or FIRST-LAST")
    start, end = int(numbers[1]), int(numbers[2] or numbers[1])
    if not 0 <= start <= end < 65536:
        raise invalid(f"invalid port specification: {host_port!r}: ports are 1 to 65535, the smaller first")
    return PortBinding(container_port, proto, host_ip, start, end if end > start else 0)
