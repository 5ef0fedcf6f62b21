"""Which published ports are left to the host's own firewall, because it refuses them. Pure.

A packet for a published port is diverted to its container before the host's input rules could see it. So what these
rules say is judged beforehand, per link that packets come by: where they refuse a port with certainty the packet is
not diverted, goes on to the input rules as if nothing were published, and is refused there in the host's own manner
(dropped, rejected, counted, logged). What cannot be judged with certainty is diverted; `reach` tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from riad.engine.networks.hostfirewall import Packet, Ruleset, Verdict, judge
from riad.engine.networks.ruleset import ClosedRule, PortRule, Rule


def closed(ruleset: Ruleset, links: Iterable[str], rules: Iterable[Rule]) -> list[ClosedRule]:
    """For the `rules` that publish: the links of the host by which their ports are refused."""
    drops = {version: _may_drop(ruleset, version) for version in (4, 6)}
    if not any(drops.values()):
        return []
    names = tuple(links)
    found: dict[ClosedRule, None] = {}
    for rule in rules:
        if isinstance(rule, PortRule) and drops[rule.address.version] and not _is_loopback(rule):
            for link in names:
                packet = arriving(rule.address.version, rule.proto, rule.host_port, link=link)
                if judge(ruleset, "input", packet).certain is Verdict.DROP:
                    found[ClosedRule(link, rule.proto, rule.host_port, rule.address.version)] = None
    return list(found)


def arriving(version: int, proto: str, port: int, *, link: str, source: str | None = None) -> Packet:
    """The first packet of a connection from outside to a port of the host."""
    facts = {
        "meta iifname": link,
        "ct state": "new",
        "fib daddr type": "local",
        "meta pkttype": "host",
        "ct status": "",
    }
    return Packet(version, proto, port, saddr=source, facts=facts)


def leaving(bridge: str, link: str) -> Packet:
    """The first packet of a container's connection to the outside."""
    facts = {"meta iifname": bridge, "meta oifname": link, "ct state": "new", "ct status": "", "meta pkttype": "host"}
    return Packet(4, "tcp", 443, facts=facts)


def _may_drop(ruleset: Ruleset, version: int) -> bool:
    return any(True for _ in ruleset.base_chains("input", version))


def _is_loopback(rule: PortRule) -> bool:
    return rule.host_ip is not None and ip_address(rule.host_ip).is_loopback
