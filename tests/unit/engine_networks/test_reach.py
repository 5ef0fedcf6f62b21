"""Who can reach a published port, as the host's rules have it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from nft_listing import ACCEPT, DROP, dport, match, ruleset, saddr
from riad.engine.networks.hostfirewall import Ruleset
from riad.engine.networks.reach import Reach, Surroundings, reach
from riad.engine.networks.ruleset import OpenRule, PortRule

LAN = {"prefix": {"addr": "192.168.1.0", "len": 24}}


def forwarding(*rules: list[Any], policy: str = "drop") -> Ruleset:
    return ruleset(*rules, hook="forward", policy=policy)


def asked(rules: Ruleset, host_ip: str = "", **more: Any) -> tuple[Reach, bool]:
    rule = PortRule("tcp", ip_address(host_ip) if host_ip else None, 8080, ip_address("172.20.0.2"), 80)
    found = reach(rule, "br-a", Surroundings(rules, "eth0", "192.168.1.2", "fd00::9", **more))
    return found.reach, found.certain


@pytest.mark.parametrize(
    ("rules", "host_ip", "expected"),
    [
        (Ruleset(), "", (Reach.EVERYONE, True)),
        (Ruleset(), "127.0.0.1", (Reach.HOST, True)),
        (Ruleset(), "192.168.1.5", (Reach.NEIGHBOURS, True)),
        (ruleset(), "", (Reach.HOST, True)),
        (ruleset([dport(8080), ACCEPT]), "", (Reach.EVERYONE, True)),
        (ruleset([dport(22), ACCEPT]), "", (Reach.HOST, True)),
        (ruleset([saddr(LAN), ACCEPT]), "", (Reach.EVERYONE, True)),
        (forwarding(), "", (Reach.HOST, True)),
        (forwarding([saddr(LAN), ACCEPT]), "", (Reach.NEIGHBOURS, True)),
        (forwarding([dport(80), ACCEPT]), "", (Reach.EVERYONE, True)),
        (forwarding([match({"ct": {"key": "status"}}, "dnat", "in"), ACCEPT]), "", (Reach.EVERYONE, True)),
        (forwarding([{"xt": None}, DROP], policy="accept"), "", (Reach.EVERYONE, False)),
    ],
)
def test_the_hosts_rules_decide_who_reaches_a_port(rules: Ruleset, host_ip: str, expected: tuple[Reach, bool]) -> None:
    assert asked(rules, host_ip) == expected


def test_rules_that_cannot_be_seen_leave_a_doubt() -> None:
    assert asked(Ruleset(), hidden_rules=True) == (Reach.EVERYONE, False)


def test_input_rules_that_tell_clients_apart_are_told_of() -> None:
    rule = PortRule("tcp", None, 8080, ip_address("172.20.0.2"), 80)
    found = reach(rule, "br-a", Surroundings(ruleset([saddr(LAN), ACCEPT]), "eth0", "192.168.1.2"))
    assert "published ports pass them by" in found.because


def test_an_open_port_of_a_routed_network_needs_the_forward_rules_only() -> None:
    rule = OpenRule("tcp", ip_address("172.20.0.2"), 80)
    assert reach(rule, "br-a", Surroundings(ruleset(), "eth0")).reach is Reach.EVERYONE
    assert reach(rule, "br-a", Surroundings(forwarding(), "eth0")).reach is Reach.HOST
