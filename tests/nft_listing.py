"""Rules of a host's own as `nft -j list ruleset` shows them, for tests."""

from __future__ import annotations

import json
from typing import Any

from riad.engine.networks.hostfirewall import Ruleset, read_ruleset

ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def dport(right: Any, protocol: str = "tcp", op: str = "==") -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, right, op)


def saddr(right: Any) -> dict[str, Any]:
    return match({"payload": {"protocol": "ip", "field": "saddr"}}, right)


def meta(key: str, right: Any) -> dict[str, Any]:
    return match({"meta": {"key": key}}, right)


def ruleset(
    *rules: list[Any], hook: str = "input", policy: str = "drop", family: str = "inet", **others: list[list[Any]]
) -> Ruleset:
    """One table with one base chain of `rules`, and the chains `others`."""
    table = {"family": family, "table": "own"}
    base = {**table, "name": hook, "hook": hook, "policy": policy, "type": "filter", "prio": 0}
    items: list[Any] = [{"metainfo": {}}, {"table": {"family": family, "name": "own"}}, {"chain": base}]
    items += [{"set": {**table, "name": "ports", "type": "inet_service", "elem": [443, {"range": [8000, 8010]}]}}]
    items += [{"chain": {**table, "name": name}} for name in others]
    items += [{"rule": {**table, "chain": hook, "expr": rule}} for rule in rules]
    items += [{"rule": {**table, "chain": name, "expr": rule}} for name, found in others.items() for rule in found]
    return read_ruleset(json.dumps({"nftables": items}))
