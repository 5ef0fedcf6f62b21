"""The nftables rules as text, pure: one table per engine, everything that varies is a set or map element.

However many ports are published, a new connection costs at most two map lookups; established ones none. The rules stay
while the daemon is down, because containers must stay reachable; they are written anew, in one transaction, at start.

How a packet fares (nft(8)); the table is of the family inet, so IPv4 and IPv6 are set together or not at all:

- `guard` (before connection tracking): containers never reach the host's own 127/8 through a bridge, although
  route_localnet is on there so that published ports answer on localhost.
- `arriving`, `leaving_here`: a destination that is one of the host's addresses and a published port becomes the
  container's address and port, for packets from outside and from the host itself. No proxy: source addresses are
  kept. The host's ::1 alone is left to `relay`, which says why.
- `outgoing`: sources are rewritten where answers could not find back otherwise: containers to the outside, the host's
  127/8 to a container, and a container to a port published by one on its own bridge.
- `passing`: into a bridge go answers, published ports and its own containers' packets, nothing else: bridges are
  isolated from each other and unpublished ports from the network around. Internal bridges also let nothing out.

An accept here ends only this table's chain: the host's own firewall may still drop what we let pass. What its input
rules refuse (`closed`, see the module `closing`) is not diverted, so that they see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from riad.engine.networks.model import Address, GatewayMode


@dataclass(frozen=True, slots=True)
class BridgeRules:
    name: str
    subnet: IPv4Network
    internal: bool
    masquerade: bool
    subnet6: IPv6Network | None = None
    masquerade6: bool = False


@dataclass(frozen=True, slots=True)
class PortRule:
    """`host_ip` None means every address of the host, of the container's address' family."""

    proto: str
    host_ip: Address | None
    host_port: int
    address: Address
    port: int

    @property
    def map_name(self) -> str:
        name = "published_any" if self.host_ip is None else "published_on"
        return name if self.address.version == 4 else name + "6"

    @property
    def key(self) -> str:
        where = "" if self.host_ip is None else f"{self.host_ip} . "
        return f"{where}{self.proto} . {self.host_port}"


@dataclass(frozen=True, slots=True)
class OpenRule:
    """A container's port that is reached at its own address, in a routed network."""

    proto: str
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class ClosedRule:
    """A port of the host that its own firewall refuses to what comes by `link`: it is not diverted. `version`: 4, 6."""

    link: str
    proto: str
    host_port: int
    version: int


@dataclass(frozen=True, slots=True)
class ResolverRule:
    """Name queries to `gateway` port 53 go to `port`, because another program of the host has 53."""

    gateway: Address
    port: int


Rule = BridgeRules | PortRule | OpenRule | ClosedRule | ResolverRule


def whole(table: str, rules: Iterable[Rule]) -> str:
    """Replaces the table with exactly `rules`, in one transaction."""
    elements = "".join(line for rule in rules for line in _lines("add", table, rule))
    return f"{gone(table)}{_skeleton(table)}{elements}"


def added(table: str, rules: Iterable[Rule]) -> str:
    return "".join(line for rule in rules for line in _lines("add", table, rule))


def removed(table: str, rules: Iterable[Rule]) -> str:
    return "".join(line for rule in rules for line in _lines("delete", table, rule))


def gone(table: str) -> str:
    """Deletes the table whether it is there or not; also that of the family ip, which older engines had."""
    return "".join(f"table {family} {table}\ndelete table {family} {table}\n" for family in ("ip", "inet"))


def _lines(verb: str, table: str, rule: Rule) -> list[str]:
    return [f"{verb} element inet {table} {name} {{ {element} }}\n" for name, element in _elements(rule, verb)]


def _elements(rule: Rule, verb: str) -> list[tuple[str, str]]:
    match rule:
        case BridgeRules():
            return _bridge_elements(rule)
        case PortRule():
            target = f" : {rule.address} . {rule.port}" if verb == "add" else ""
            return [(rule.map_name, rule.key + target)]
        case OpenRule():
            name = "opened" if rule.address.version == 4 else "opened6"
            return [(name, f"{rule.address} . {rule.proto} . {rule.port}")]
        case ClosedRule():
            name = "closed" if rule.version == 4 else "closed6"
            return [(name, f'"{rule.link}" . {rule.proto} . {rule.host_port}')]
        case ResolverRule():
            target = f" : {rule.port}" if verb == "add" else ""
            return [("resolvers", f"{rule.gateway} . {proto}{target}") for proto in ("tcp", "udp")]


def _bridge_elements(rule: BridgeRules) -> list[tuple[str, str]]:
    elements = [
        ("bridges", f'"{rule.name}"'),
        ("within", f'"{rule.name}" . "{rule.name}"'),
        ("hairpin", f'{rule.subnet} . "{rule.name}"'),
    ]
    if rule.subnet6 is not None:
        elements.append(("hairpin6", f'{rule.subnet6} . "{rule.name}"'))
    if rule.internal:
        return [*elements, ("internal", f'"{rule.name}"')]
    if rule.masquerade:
        elements.append(("sources", str(rule.subnet)))
    if rule.masquerade6 and rule.subnet6 is not None:
        elements.append(("sources6", str(rule.subnet6)))
    return elements


def masquerades(mode: GatewayMode, *, asked: bool) -> bool:
    """Only behind NAT are the containers' own addresses hidden."""
    return asked and mode is GatewayMode.NAT


def _skeleton(table: str) -> str:
    return f"""\
table inet {table} {{
	set bridges {{ type ifname; }}
	set within {{ type ifname . ifname; }}
	set internal {{ type ifname; }}
	set hairpin {{ type ipv4_addr . ifname; flags interval; }}
	set hairpin6 {{ type ipv6_addr . ifname; flags interval; }}
	set sources {{ type ipv4_addr; flags interval; }}
	set sources6 {{ type ipv6_addr; flags interval; }}
	set opened {{ type ipv4_addr . inet_proto . inet_service; }}
	set opened6 {{ type ipv6_addr . inet_proto . inet_service; }}
	set closed {{ type ifname . inet_proto . inet_service; }}
	set closed6 {{ type ifname . inet_proto . inet_service; }}
	map published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
	map published_on {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
	map published_any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
	map published_on6 {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
	map resolvers {{ type ipv4_addr . inet_proto : inet_service; }}
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		ip daddr 127.0.0.0/8 iifname @bridges drop
	}}
	chain arriving {{
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 127.0.0.0/8 return
		fib daddr type != local return
		meta l4proto {{ tcp, udp }} th dport 53 redirect to ip daddr . meta l4proto map @resolvers
		meta nfproto ipv4 meta l4proto {{ tcp, udp, sctp }} iifname . meta l4proto . th dport @closed return
		meta nfproto ipv6 meta l4proto {{ tcp, udp, sctp }} iifname . meta l4proto . th dport @closed6 return
		jump published
	}}
	chain leaving_here {{
		type nat hook output priority -100; policy accept;
		ip6 daddr ::1 return
		fib daddr type != local return
		jump published
	}}
	chain published {{
		meta l4proto {{ tcp, udp, sctp }} dnat ip to ip daddr . meta l4proto . th dport map @published_on
		meta l4proto {{ tcp, udp, sctp }} dnat ip to meta l4proto . th dport map @published_any
		meta l4proto {{ tcp, udp, sctp }} dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_on6
		meta l4proto {{ tcp, udp, sctp }} dnat ip6 to meta l4proto . th dport map @published_any6
	}}
	chain outgoing {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
		ct status dnat ip saddr . oifname @hairpin masquerade
		ct status dnat ip6 saddr . oifname @hairpin6 masquerade
		ip saddr @sources oifname != @bridges masquerade
		ip6 saddr @sources6 oifname != @bridges masquerade
	}}
	chain passing {{
		type filter hook forward priority filter; policy accept;
		iifname . oifname @within accept
		iifname @internal drop
		oifname @internal drop
		oifname @bridges ct state established,related accept
		oifname @bridges ct status dnat accept
		oifname @bridges ip daddr . meta l4proto . th dport @opened accept
		oifname @bridges ip6 daddr . meta l4proto . th dport @opened6 accept
		oifname @bridges drop
	}}
}}
"""
