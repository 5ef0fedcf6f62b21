"""The nftables text for a set of rules: tests/cases/nft."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest

from riad.engine.networks import ruleset
from riad.engine.networks.ruleset import BridgeRules, ClosedRule, OpenRule, PortRule, ResolverRule, Rule

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
            six = next((IPv6Network(text) for text in how if ":" in text), None)
            plain = "plain" in how
            return BridgeRules(name, IPv4Network(subnet), "internal" in how, not plain, six, not plain)
        case ["open", proto, address, port]:
            return OpenRule(proto, ip_address(address), int(port))
        case ["closed", version, link, proto, port]:
            return ClosedRule(link, proto, int(port), int(version))
        case ["port", proto, host, number, address, port]:
            host_ip = None if host == "*" else ip_address(host)
            return PortRule(proto, host_ip, int(number), ip_address(address), int(port))
        case ["resolver", gateway, port]:
            return ResolverRule(ip_address(gateway), int(port))
    raise AssertionError(line)


@pytest.mark.parametrize(("title", "given", "expected"), cases(), ids=lambda text: text.splitlines()[0])
def test_the_text_is_as_written_down(title: str, given: str, expected: str) -> None:
    lines = given.splitlines()
    make = {"whole": ruleset.whole, "delete": ruleset.removed}.get(lines[0], ruleset.added)
    rules = [rule(line) for line in lines if line not in ("whole", "delete")]
    assert make("t", rules).strip("\n") == expected, title
