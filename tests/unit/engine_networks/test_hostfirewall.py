"""What the host's own rules say of a packet: certain only where every rule that matters can be judged."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nft_listing import ACCEPT, DROP, dport, match, meta, ruleset, saddr
from riad.engine.networks.beside import others_rule, planned
from riad.engine.networks.closing import arriving, closed
from riad.engine.networks.hostfirewall import Packet, Ruleset, Verdict, judge
from riad.engine.networks.ruleset import ClosedRule, PortRule


def verdict(rules: Ruleset, packet: Packet | None = None) -> Verdict | None:
    return judge(rules, "input", packet or arriving(4, "tcp", 8080, link="eth0")).certain


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], Verdict.DROP),
        ([[dport(8080), ACCEPT]], Verdict.ACCEPT),
        ([[dport(8080), {"counter": {}}, {"log": {}}, ACCEPT]], Verdict.ACCEPT),
        ([[dport(22), ACCEPT]], Verdict.DROP),
        ([[dport(8080, "udp"), ACCEPT]], Verdict.DROP),
        ([[dport(8080, "th"), ACCEPT]], Verdict.ACCEPT),
        ([[dport({"set": [22, 8080]}), ACCEPT]], Verdict.ACCEPT),
        ([[dport({"range": [8000, 9000]}), ACCEPT]], Verdict.ACCEPT),
        ([[dport("@ports"), ACCEPT]], Verdict.DROP),
        ([[dport(8080, op="!="), ACCEPT]], Verdict.DROP),
        ([[dport(1024, op=">"), ACCEPT]], Verdict.ACCEPT),
        ([[meta("iifname", "lo"), ACCEPT]], Verdict.DROP),
        ([[meta("iifname", "eth*"), ACCEPT]], Verdict.ACCEPT),
        ([[match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]], Verdict.DROP),
        ([[match({"ct": {"key": "state"}}, {"set": ["new"]}, "in"), ACCEPT]], Verdict.ACCEPT),
        ([[saddr("10.0.0.0"), ACCEPT]], None),
        ([[{"xt": None}, ACCEPT]], None),
        ([[{"limit": {"rate": 1}}, ACCEPT]], None),
        ([[{"limit": {"rate": 1}}, DROP]], Verdict.DROP),
        ([[match({"payload": {"protocol": "ip6", "field": "saddr"}}, "::1"), ACCEPT]], Verdict.DROP),
        ([[{"reject": {}}], [ACCEPT]], Verdict.DROP),
        ([[{"vmap": {"key": {"meta": {"key": "l4proto"}}, "data": {"set": [["tcp", ACCEPT]]}}}]], Verdict.ACCEPT),
        (
            [
                [
                    {
                        "vmap": {
                            "key": {"ct": {"key": "state"}},
                            "data": {"set": [["invalid", DROP], ["established", ACCEPT]]},
                        }
                    }
                ]
            ],
            Verdict.DROP,
        ),
    ],
)
def test_rules_before_a_dropping_policy(rules: list[list[Any]], expected: Verdict | None) -> None:
    assert verdict(ruleset(*rules)) is expected


def test_chains_are_followed_and_return() -> None:
    services = [[dport(22), ACCEPT], [dport(8080), {"return": None}], [ACCEPT]]
    assert verdict(ruleset([{"jump": {"target": "services"}}], services=services)) is Verdict.DROP
    assert verdict(ruleset([{"jump": {"target": "services"}}], [ACCEPT], services=services)) is Verdict.ACCEPT
    assert verdict(ruleset([{"jump": {"target": "nowhere"}}])) is None
    endless = [[{"jump": {"target": "again"}}]]
    assert verdict(ruleset([{"jump": {"target": "again"}}], again=endless)) is None


def test_every_base_chain_has_to_accept_and_only_the_packets_family_counts() -> None:
    open_, shut = ruleset([ACCEPT]), ruleset()
    both = Ruleset((*open_.tables, *shut.tables))
    found = judge(both, "input", arriving(4, "tcp", 80, link="eth0"))
    assert (found.certain, found.by) == (Verdict.DROP, "inet own input")
    assert verdict(ruleset(family="ip6")) is Verdict.ACCEPT
    assert judge(shut, "forward", arriving(4, "tcp", 80, link="eth0")).certain is Verdict.ACCEPT


def test_a_source_that_is_known_is_judged() -> None:
    lan = {"prefix": {"addr": "192.168.0.0", "len": 16}}
    rules = ruleset([saddr(lan), ACCEPT])
    assert verdict(rules, arriving(4, "tcp", 80, link="eth0", source="192.168.1.9")) is Verdict.ACCEPT
    assert verdict(rules, arriving(4, "tcp", 80, link="eth0", source="9.9.9.9")) is Verdict.DROP


def test_ports_are_closed_on_the_links_where_they_are_refused_for_certain() -> None:
    port = PortRule("tcp", None, 8080, ip_address("172.20.0.2"), 80)
    local = PortRule("tcp", ip_address("127.0.0.1"), 8081, ip_address("172.20.0.2"), 80)
    six = PortRule("tcp", None, 8080, ip_address("fd00::2"), 80)
    rules = ruleset([meta("iifname", "wg0"), ACCEPT])
    assert closed(rules, ["eth0", "wg0"], [port, local, six]) == [
        ClosedRule("eth0", "tcp", 8080, 4),
        ClosedRule("eth0", "tcp", 8080, 6),
    ]
    assert closed(ruleset([saddr("10.0.0.1"), ACCEPT]), ["eth0"], [port]) == []
    assert closed(Ruleset(), ["eth0"], [port]) == []


def test_beside_dockerd_bridges_are_let_pass_but_others_rules_keep_their_say() -> None:
    mark = ("-m", "comment", "--comment", "riad_x", "-j", "ACCEPT")
    assert planned(["br-a"], "riad_x", strict=False) == [("-i", "br-a", *mark), ("-o", "br-a", *mark)]
    answers = ("-o", "br-a", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *mark)
    assert planned(["br-a"], "riad_x", strict=True)[1] == answers
    dockers = ["-P FORWARD DROP", "-A FORWARD -j DOCKER-USER", "-A FORWARD -o docker0 -j DOCKER"]
    assert not others_rule(dockers)
    assert others_rule([*dockers, "-A FORWARD -j ufw-before-forward"])


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.sampled_from(["==", "!=", "<", "in"]))
def test_rules_of_any_shape_are_judged_without_a_crash(right: Any, op: str) -> None:
    rules = ruleset([dport(right, op=op), ACCEPT], [saddr(right), DROP], [{"concat": right}, ACCEPT])
    assert judge(rules, "input", arriving(4, "tcp", 80, link="eth0", source="10.0.0.1")).possible
