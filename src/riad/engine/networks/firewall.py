"""Keeps the kernel's table equal to the rules we want; rewrites it whole where a change does not fit what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from riad.engine.networks import ruleset
from riad.engine.networks.ruleset import Rule
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.networks")

RunNft = Callable[[str], str]
"""Runs nft commands as one transaction and returns what they print. Blocking; `host.nftables.Nftables.run`."""


class Firewall:
    """Changes are made in the order they were asked for, each in a thread: another program may hold nft's lock long."""

    def __init__(self, table: str, run: RunNft) -> None:
        self._table = table
        self._run = run
        self._rules: dict[Rule, None] = {}
        self._lock = asyncio.Lock()

    async def replace(self, rules: Iterable[Rule]) -> None:
        async with self._lock:
            self._rules = dict.fromkeys(rules)
            await asyncio.to_thread(self._run, ruleset.whole(self._table, self._rules))

    async def add(self, rules: Iterable[Rule]) -> None:
        """All or none; adding what is there is no error. Raises INTERNAL where the kernel refuses."""
        async with self._lock:
            new = [rule for rule in rules if rule not in self._rules]
            if not new:
                return
            self._rules.update(dict.fromkeys(new))
            try:
                await self._change(ruleset.added(self._table, new))
            except BaseException:
                for rule in new:
                    del self._rules[rule]
                raise

    async def remove(self, rules: Iterable[Rule]) -> None:
        """Removing what is gone is no error."""
        async with self._lock:
            old = [rule for rule in rules if rule in self._rules]
            if not old:
                return
            for rule in old:
                del self._rules[rule]
            await self._change(ruleset.removed(self._table, old))

    async def drop(self) -> None:
        """Removes the whole table."""
        async with self._lock:
            self._rules = {}
            await asyncio.to_thread(self._run, ruleset.gone(self._table))

    async def _change(self, commands: str) -> None:
        try:
            await asyncio.to_thread(self._run, commands)
        except Fault as fault:
            # Somebody flushed or edited our table (`nft flush ruleset` of a firewall reload): put all of it back.
            _log.warning("ruleset rewritten", extra=logs.fields(table=self._table, reason=fault.message))
            await asyncio.to_thread(self._run, ruleset.whole(self._table, self._rules))


def forward_policy_drops(run: RunNft) -> bool:
    """Whether iptables' FORWARD chain drops what nobody accepts there, as dockerd sets it up: that hits our packets."""
    try:
        listed = run("list chain ip filter FORWARD")
    except Fault:
        return False
    return "policy drop" in listed
