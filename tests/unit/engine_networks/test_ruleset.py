"""The nftables text for a set of rules: tests/cases/nft."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from riad.engine.networks import ruleset
from riad.engine.networks.ruleset import BridgeRules, PortRule, ResolverRule, Rule

CASES = Path(__file__).parents[2] / "cases" / "nft"


def cases() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(CASES.glob("*.case")):
        for part in path.read_text().split("=== ")[1:]:
            title, _, rest = part.partition("\n")
            given, _, expected = rest.partition("---\n")
            found.append((title, given.strip(), expected.strip("\n")))
    return found


def rule(line: str) -> Rule:
    match line.split():
        case ["bridge", name, subnet, *how]:
            return BridgeRules(name, IPv4Network(subnet), "internal" in how, "plain" not in how)
        case ["port", proto, host, number, address, port]:
            host_ip = None if host == "*" else IPv4Address(host)
            return PortRule(proto, host_ip, int(number), IPv4Address(address), int(port))
        case ["resolver", gateway, port]:
            return ResolverRule(IPv4Address(gateway), int(port))
    raise AssertionError(line)


@pytest.mark.parametrize(("title", "given", "expected"), cases(), ids=lambda text: text.splitlines()[0])
def test_the_text_is_as_written_down(title: str, given: str, expected: str) -> None:
    lines = given.splitlines()
    make = {"whole": ruleset.whole, "delete": ruleset.removed}.get(lines[0], ruleset.added)
    rules = [rule(line) for line in lines if line not in ("whole", "delete")]
    assert make("t", rules).strip("\n") == expected, title
