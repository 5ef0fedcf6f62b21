"""The nftables rules as text, pure: one table per engine, everything that varies is a set or map element.

However many ports are published, a new connection costs at most two map lookups; established ones none. The rules stay
while the daemon is down, because containers must stay reachable; they are written anew, in one transaction, at start.

How a packet fares (nft(8), families ip; IPv6 would be a second table of the same shape):

- `guard` (before connection tracking): containers never reach the host's own 127/8 through a bridge, although
  route_localnet is on there so that published ports answer on localhost.
- `arriving`, `leaving_here`: a destination that is one of the host's addresses and a published port becomes the
  container's address and port, for packets from outside and from the host itself. No proxy: source addresses are kept.
- `outgoing`: sources are rewritten where answers could not find back otherwise: containers to the outside, the host's
  127/8 to a container, and a container to a port published by one on its own bridge.
- `passing`: into a bridge go answers, published ports and its own containers' packets, nothing else: bridges are
  isolated from each other and unpublished ports from the network around. Internal bridges also let nothing out.

An accept here ends only this table's chain: the host's own firewall may still drop what we let pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network


@dataclass(frozen=True, slots=True)
class BridgeRules:
    name: str
    subnet: IPv4Network
    internal: bool
    masquerade: bool


@dataclass(frozen=True, slots=True)
class PortRule:
    """`host_ip` None means every address of the host."""

    proto: str
    host_ip: IPv4Address | None
    host_port: int
    address: IPv4Address
    port: int

    @property
    def map_name(self) -> str:
        return "published_any" if self.host_ip is None else "published_on"

    @property
    def key(self) -> str:
        where = "" if self.host_ip is None else f"{self.host_ip} . "
        return f"{where}{self.proto} . {self.host_port}"


@dataclass(frozen=True, slots=True)
class ResolverRule:
    """Name queries to `gateway` port 53 go to `port`, because another program of the host has 53."""

    gateway: IPv4Address
    port: int


Rule = BridgeRules | PortRule | ResolverRule


def whole(table: str, rules: Iterable[Rule]) -> str:
    """Replaces the table with exactly `rules`, in one transaction."""
    elements = "".join(line for rule in rules for line in _lines("add", table, rule))
    return f"table ip {table}\ndelete table ip {table}\n{_skeleton(table)}{elements}"


def added(table: str, rules: Iterable[Rule]) -> str:
    return "".join(line for rule in rules for line in _lines("add", table, rule))


def removed(table: str, rules: Iterable[Rule]) -> str:
    return "".join(line for rule in rules for line in _lines("delete", table, rule))


def gone(table: str) -> str:
    """Deletes the table whether it is there or not."""
    return f"table ip {table}\ndelete table ip {table}\n"


def _lines(verb: str, table: str, rule: Rule) -> list[str]:
    return [f"{verb} element ip {table} {name} {{ {element} }}\n" for name, element in _elements(rule, verb)]


def _elements(rule: Rule, verb: str) -> list[tuple[str, str]]:
    match rule:
        case BridgeRules():
            elements = [
                ("bridges", f'"{rule.name}"'),
                ("within", f'"{rule.name}" . "{rule.name}"'),
                ("hairpin", f'{rule.subnet} . "{rule.name}"'),
            ]
            if rule.internal:
                elements.append(("internal", f'"{rule.name}"'))
            elif rule.masquerade:
                elements.append(("sources", str(rule.subnet)))
            return elements
        case PortRule():
            target = f" : {rule.address} . {rule.port}" if verb == "add" else ""
            return [(rule.map_name, rule.key + target)]
        case ResolverRule():
            target = f" : {rule.port}" if verb == "add" else ""
            return [("resolvers", f"{rule.gateway} . {proto}{target}") for proto in ("tcp", "udp")]


def _skeleton(table: str) -> str:
    return f"""\
table ip {table} {{
	set bridges {{ type ifname; }}
	set within {{ type ifname . ifname; }}
	set hairpin {{ type ipv4_addr . ifname; flags interval; }}
	set internal {{ type ifname; }}
	set sources {{ type ipv4_addr; flags interval; }}
	map published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
	map published_on {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
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
		meta l4proto {{ tcp, udp }} dnat ip to ip daddr . meta l4proto . th dport map @published_on
		meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . th dport map @published_any
	}}
	chain leaving_here {{
		type nat hook output priority -100; policy accept;
		fib daddr type != local return
		meta l4proto {{ tcp, udp }} dnat ip to ip daddr . meta l4proto . th dport map @published_on
		meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . th dport map @published_any
	}}
	chain outgoing {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
		ct status dnat ip saddr . oifname @hairpin masquerade
		ip saddr @sources oifname != @bridges masquerade
	}}
	chain passing {{
		type filter hook forward priority filter; policy accept;
		iifname . oifname @within accept
		iifname @internal drop
		oifname @internal drop
		oifname @bridges ct state established,related accept
		oifname @bridges ct status dnat accept
		oifname @bridges drop
	}}
}}
"""
