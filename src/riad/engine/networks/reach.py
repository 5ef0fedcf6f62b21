"""Who can reach a published port: this host, the network around it, everyone; with the host's rules, and honestly.

Judged are three clients: this host itself, a neighbour on the network of the host's way out, and somebody far away.
What the rules leave open (they look at marks, rates, or are iptables matches that nft cannot show) is told as such.
Routers and firewalls beyond this host are not known here: "everyone" is everyone who can send it packets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from ipaddress import ip_address

from riad.engine.networks.closing import arriving, closed
from riad.engine.networks.hostfirewall import Judgement, Ruleset, Verdict, judge
from riad.engine.networks.model import PublishedPort
from riad.engine.networks.ruleset import OpenRule, PortRule


class Reach(enum.Enum):
    NOBODY = "nobody"
    """Its container is on no network that leads to it."""
    HOST = "this host"
    NEIGHBOURS = "local network"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Answer:
    """`certain`: the host's rules leave no doubt. `because`: the chain that keeps others out, or what is unclear."""

    reach: Reach
    certain: bool = True
    because: str = ""


@dataclass(frozen=True, slots=True)
class PortReach:
    """One published port of one container; `host_port` 0: it is open at the container's own address."""

    container_id: str
    name: str
    port: PublishedPort
    answer: Answer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The host's rules but ours, its way out, an address next to it ("" unknown), if iptables-legacy hides some."""

    ruleset: Ruleset
    uplink: str = ""
    neighbour: str = ""
    neighbour6: str = ""
    hidden_rules: bool = False


_FAR, _FAR6 = "203.0.113.7", "2001:db8::7"
"""Addresses of documentation (RFC 5737, RFC 3849): nobody's, so no rule means them."""

_NOT_ASKED = (
    "the host's input rules tell clients apart, and published ports pass them by: refuse others in a forward chain, or"
    " publish on one address"
)


def reach(rule: PortRule | OpenRule, bridge: str, around: Surroundings) -> Answer:
    """`bridge`: that of the container's network, by which the packets go on."""
    if isinstance(rule, PortRule) and rule.host_ip is not None and ip_address(rule.host_ip).is_loopback:
        return Answer(Reach.HOST, because="published on the loopback address")
    far = _judged(rule, bridge, around, _FAR if rule.address.version == 4 else _FAR6)
    near_address = around.neighbour if rule.address.version == 4 else around.neighbour6
    near = _judged(rule, bridge, around, near_address) if near_address else far
    if isinstance(rule, PortRule) and rule.host_ip is not None and ip_address(rule.host_ip).is_private:
        far = replace(near, possible=frozenset({Verdict.DROP}), by=f"published on the private address {rule.host_ip}")
    for who, found in ((Reach.EVERYONE, far), (Reach.NEIGHBOURS, near)):
        if found.certain is not Verdict.DROP:
            source = _FAR if rule.address.version == 4 else _FAR6
            if who is Reach.EVERYONE and found.certain is Verdict.ACCEPT and _is_asked_in_vain(rule, around, source):
                return Answer(who, because=_NOT_ASKED)
            return _answer(who, found, far if who is Reach.NEIGHBOURS else None, around)
    return Answer(Reach.HOST, because=f"refused by {near.by}")


def _answer(who: Reach, found: Judgement, outer: Judgement | None, around: Surroundings) -> Answer:
    if found.certain is None:
        return Answer(
            who, certain=False, because="the host's firewall has rules for it that cannot be judged from here"
        )
    if around.hidden_rules:
        return Answer(who, certain=False, because="rules of iptables-legacy are not taken into account")
    return Answer(who, because=f"others are refused: {outer.by}" if outer is not None and outer.by else "")


def _judged(rule: PortRule | OpenRule, bridge: str, around: Surroundings, source: str) -> Judgement:
    """As the packets really fare: one that is left to the host's input rules is refused there, others go forward."""
    version, link = rule.address.version, around.uplink or "?"
    if isinstance(rule, PortRule) and closed(around.ruleset, [link], [rule]):
        return judge(around.ruleset, "input", arriving(version, rule.proto, rule.host_port, link=link))
    packet = arriving(version, rule.proto, rule.port, link=link, source=source)
    status = {"ct status": "dnat"} if isinstance(rule, PortRule) else {}
    facts = {**packet.facts, "meta oifname": bridge, "fib daddr type": "unicast", **status}
    return judge(around.ruleset, "forward", replace(packet, daddr=str(rule.address), facts=facts))


def _is_asked_in_vain(rule: PortRule | OpenRule, around: Surroundings, source: str) -> bool:
    """The host's input rules would refuse this client, but not every one by that link, so they are not asked."""
    if not isinstance(rule, PortRule):
        return False
    packet = arriving(rule.address.version, rule.proto, rule.host_port, link=around.uplink or "?", source=source)
    return judge(around.ruleset, "input", packet).certain is Verdict.DROP
