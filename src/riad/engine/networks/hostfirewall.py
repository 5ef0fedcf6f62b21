"""What the host's own nftables rules say about a packet, as far as that can be judged from outside. Pure.

Rules are read from nft's JSON listing (libnftables-json(5)) and walked for one packet. What a rule asks for may be
unknown here (an xt match of iptables, a rate limit, a mark, a source address): such a rule may apply or not, and both
ways are followed. So the answer is the set of all verdicts that are possible; only a single one is certain.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Json = Any


class Verdict(enum.Enum):
    ACCEPT = "accept"
    DROP = "drop"
    GO_ON = "go on"
    """Only within a walk: the chain has nothing to say, its caller goes on."""


class Fits(enum.Enum):
    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Packet:
    """The first one of a connection; None is unknown. `facts`: meta and ct keys that are known."""

    version: int
    proto: str
    dport: int
    saddr: str | None = None
    daddr: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    name: str
    rules: tuple[Json, ...]
    hook: str = ""
    policy: str = "accept"
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    family: str
    name: str
    chains: Mapping[str, Chain]
    sets: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Ruleset:
    tables: tuple[Table, ...] = ()

    def base_chains(self, hook: str, version: int) -> Iterator[tuple[Table, Chain]]:
        families = ("inet", "ip" if version == 4 else "ip6")
        for table in self.tables:
            if table.family in families:
                for chain in table.chains.values():
                    if chain.hook == hook and chain.kind == "filter":
                        yield table, chain

    def without(self, names: Iterable[str]) -> Ruleset:
        unwanted = set(names)
        return Ruleset(tuple(table for table in self.tables if table.name not in unwanted))


@dataclass(frozen=True, slots=True)
class Judgement:
    """`possible` has one member where the rules leave no doubt; `by` names the chain that drops, "" where none does."""

    possible: frozenset[Verdict]
    by: str = ""

    @property
    def certain(self) -> Verdict | None:
        return next(iter(self.possible)) if len(self.possible) == 1 else None


_ACCEPTED = Judgement(frozenset({Verdict.ACCEPT}))


def read_ruleset(text: str) -> Ruleset:
    """From `nft -j list ruleset`; raises ValueError for what is none."""
    items = json.loads(text)["nftables"] if text.strip() else []
    chains: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    sets: dict[tuple[str, str], dict[str, Json]] = {}
    for item in items:
        for kind, body in item.items():
            if kind == "table":
                chains.setdefault((body["family"], body["name"]), {})
            elif kind == "chain":
                chains.setdefault((body["family"], body["table"]), {})[body["name"]] = {**body, "rules": []}
            elif kind in ("set", "map"):
                sets.setdefault((body["family"], body["table"]), {})[body["name"]] = body.get("elem", [])
            elif kind == "rule":
                chains[body["family"], body["table"]][body["chain"]]["rules"].append(body.get("expr", []))
    return Ruleset(
        tuple(
            Table(
                family,
                name,
                {
                    key: Chain(
                        key,
                        tuple(body["rules"]),
                        body.get("hook", ""),
                        body.get("policy", "accept"),
                        body.get("type", ""),
                    )
                    for key, body in found.items()
                },
                sets.get((family, name), {}),
            )
            for (family, name), found in chains.items()
        )
    )


def judge(ruleset: Ruleset, hook: str, packet: Packet) -> Judgement:
    """What becomes of `packet` at `hook` ("input", "forward"): every base chain there has to accept it."""
    possible = {Verdict.ACCEPT}
    for table, chain in ruleset.base_chains(hook, packet.version):
        found = _walk(table, chain, packet, depth=0)
        if Verdict.GO_ON in found:
            found = (found - {Verdict.GO_ON}) | {Verdict.DROP if chain.policy == "drop" else Verdict.ACCEPT}
        if found == {Verdict.DROP}:
            return Judgement(frozenset(found), f"{table.family} {table.name} {chain.name}")
        possible |= found
    return Judgement(frozenset(possible)) if len(possible) > 1 else _ACCEPTED


def _walk(table: Table, chain: Chain, packet: Packet, *, depth: int) -> set[Verdict]:
    possible: set[Verdict] = set()
    for rule in chain.rules:
        fits, verdicts = _rule(table, rule, packet, depth)
        if fits is Fits.NO or not verdicts:
            continue
        possible |= verdicts - {Verdict.GO_ON}
        returns = _is_return(rule)
        if returns:
            possible.add(Verdict.GO_ON)
        if fits is Fits.YES and (returns or Verdict.GO_ON not in verdicts):
            return possible
    return possible | {Verdict.GO_ON}


def _is_return(rule: Json) -> bool:
    return any("return" in statement for statement in rule)


def _rule(table: Table, rule: Json, packet: Packet, depth: int) -> tuple[Fits, set[Verdict]]:
    fits = Fits.YES
    for statement in rule:
        for kind, body in statement.items():
            match kind:
                case "match":
                    fits = _both(fits, _match(table, body, packet))
                case "accept" | "return":
                    return fits, {Verdict.ACCEPT if kind == "accept" else Verdict.GO_ON}
                case "drop" | "reject":
                    return fits, {Verdict.DROP}
                case "jump" | "goto":
                    return fits, _called(table, body["target"], packet, depth)
                case "vmap":
                    return fits, _mapped(table, body, packet, depth)
                case "counter" | "log" | "comment" | "mangle" | "meta":
                    pass
                case _:  # xt matches of iptables, limits, quotas, queues: may let a packet by or not
                    fits = _both(fits, Fits.PERHAPS)
                    if kind in ("xt", "queue") and statement is rule[-1]:
                        return fits, {Verdict.ACCEPT, Verdict.DROP, Verdict.GO_ON}
            if fits is Fits.NO:
                return fits, set()
    return fits, set()


def _called(table: Table, name: str, packet: Packet, depth: int) -> set[Verdict]:
    chain = table.chains.get(name)
    if chain is None or depth > 16:  # the kernel allows 16
        return set(Verdict)
    return _walk(table, chain, packet, depth=depth + 1)


def _mapped(table: Table, body: Json, packet: Packet, depth: int) -> set[Verdict]:
    data = body.get("data", {})
    elements = _elements(table, data)
    possible = {Verdict.GO_ON}
    if elements is None:
        return set(Verdict)
    for element in elements:
        if not (isinstance(element, list) and len(element) == 2 and isinstance(element[1], dict)):
            return set(Verdict)
        fits = _match(table, {"op": "==", "left": body.get("key"), "right": element[0]}, packet)
        if fits is Fits.NO:
            continue
        _, found = _rule(table, [element[1]], packet, depth)
        if fits is Fits.YES:
            return found
        possible |= found
    return possible


def _both(one: Fits, other: Fits) -> Fits:
    if Fits.NO in (one, other):
        return Fits.NO
    return Fits.YES if one is other is Fits.YES else Fits.PERHAPS


_UNKNOWN = object()
_WRONG = object()


def _match(table: Table, body: Json, packet: Packet) -> Fits:
    value = _value(body.get("left"), packet)
    if value is _WRONG:
        return Fits.NO
    if value is _UNKNOWN:
        return Fits.PERHAPS
    found = _holds(table, value, body.get("right"))
    op = body.get("op", "==")
    if op in ("==", "in"):
        return found
    if op == "!=":
        return {Fits.YES: Fits.NO, Fits.NO: Fits.YES}.get(found, Fits.PERHAPS)
    right = body.get("right")
    if isinstance(value, int) and isinstance(right, int):
        holds = {"<": value < right, ">": value > right, "<=": value <= right, ">=": value >= right}.get(op)
        if holds is not None:
            return Fits.YES if holds else Fits.NO
    return Fits.PERHAPS


def _value(left: Json, packet: Packet) -> Any:
    """The packet's, `_UNKNOWN`, or `_WRONG` where it has no such field at all."""
    if not isinstance(left, dict):
        return _UNKNOWN
    if "payload" in left:
        return _field(left["payload"], packet)
    if "concat" in left:
        parts = [_value(part, packet) for part in left["concat"]]
        if any(part is _WRONG for part in parts):
            return _WRONG
        return _UNKNOWN if any(part is _UNKNOWN for part in parts) else parts
    for kind in ("meta", "ct"):
        if kind in left:
            return _fact(f"{kind} {left[kind].get('key', '')}", packet)
    if "fib" in left and left["fib"].get("result") == "type" and left["fib"].get("flags") == ["daddr"]:
        return packet.facts.get("fib daddr type", _UNKNOWN)
    return _UNKNOWN


def _field(payload: Json, packet: Packet) -> Any:
    protocol, name = payload.get("protocol"), payload.get("field")
    if protocol in ("tcp", "udp", "th", "sctp"):
        if protocol not in ("th", packet.proto):
            return _WRONG
        return packet.dport if name == "dport" else _UNKNOWN
    if protocol in ("icmp", "icmpv6", "esp", "ah", "arp"):
        return _WRONG
    if protocol in ("ip", "ip6"):
        if protocol != ("ip" if packet.version == 4 else "ip6"):
            return _WRONG
        if name in ("protocol", "nexthdr"):
            return packet.proto
        known = {"saddr": packet.saddr, "daddr": packet.daddr}.get(str(name))
        return _UNKNOWN if known is None else known
    return _UNKNOWN


def _fact(name: str, packet: Packet) -> Any:
    match name:
        case "meta l4proto":
            return packet.proto
        case "meta nfproto":
            return "ipv4" if packet.version == 4 else "ipv6"
        case "meta protocol":
            return "ip" if packet.version == 4 else "ip6"
        case "meta iif":
            name = "meta iifname"
        case "meta oif":
            name = "meta oifname"
    return packet.facts.get(name, _UNKNOWN)


def _elements(table: Table, right: Json) -> list[Json] | None:
    if isinstance(right, str) and right.startswith("@"):
        return list(table.sets.get(right[1:], []))
    if isinstance(right, dict) and "set" in right:
        return list(right["set"]) if isinstance(right["set"], list) else [right["set"]]
    return None


def _holds(table: Table, value: Any, right: Json) -> Fits:
    """Whether the packet's `value` is `right`: a scalar, range, prefix, set or named set."""
    elements = _elements(table, right)
    if elements is None and isinstance(right, list) and not isinstance(value, list):
        elements = right  # ct state established,related
    if elements is not None:
        found = [_holds(table, value, element) for element in elements]
        if Fits.YES in found:
            return Fits.YES
        return Fits.PERHAPS if Fits.PERHAPS in found else Fits.NO
    if isinstance(right, dict):
        return _within(table, value, right)
    if isinstance(value, str) and isinstance(right, str):
        if right.endswith("*"):
            return Fits.YES if value.startswith(right[:-1]) else Fits.NO
        return Fits.YES if value == right or _same_address(value, right) else Fits.NO
    if isinstance(value, int) and isinstance(right, int):
        return Fits.YES if value == right else Fits.NO
    return Fits.PERHAPS


def _within(table: Table, value: Any, right: Mapping[str, Json]) -> Fits:
    if "elem" in right:  # an element with a timeout or counter
        return _holds(table, value, right["elem"].get("val"))
    if "concat" in right and isinstance(value, list) and len(value) == len(right["concat"]):
        found = [_holds(table, *pair) for pair in zip(value, right["concat"], strict=True)]
        if Fits.NO in found:
            return Fits.NO
        return Fits.PERHAPS if Fits.PERHAPS in found else Fits.YES
    try:
        if "prefix" in right:
            network = ip_network(f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False)
            return Fits.YES if ip_address(value) in network else Fits.NO
        if "range" in right:
            low, high = right["range"]
            if isinstance(value, int):
                return Fits.YES if low <= value <= high else Fits.NO
            first, last, mine = (int(ip_address(each)) for each in (low, high, value))
            return Fits.YES if first <= mine <= last else Fits.NO
    except (ValueError, TypeError, KeyError):
        return Fits.PERHAPS
    return Fits.PERHAPS


def _same_address(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False
