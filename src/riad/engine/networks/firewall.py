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

    def rules(self) -> list[Rule]:
        return list(self._rules)

    async def replace(self, rules: Iterable[Rule]) -> None:
        async with self._lock:
            self._rules = dict.fromkeys(rules)
            await asyncio.to_thread(self._run, ruleset.whole(self._table, self._rules))

    async def add(self, rules: Iterable[Rule]) -> None:
        """All or none; adding what is there is no error. Raises INTERNAL where the kernel refuses."""
        await self.change((), rules)

    async def remove(self, rules: Iterable[Rule]) -> None:
        """Removing what is gone is no error."""
        await self.change(rules, ())

    async def change(self, old: Iterable[Rule], new: Iterable[Rule]) -> None:
        """Out with `old`, in with `new`, in one transaction; rules in both are not touched."""
        async with self._lock:
            before = self._rules
            coming = dict.fromkeys(new)
            going = [rule for rule in old if rule in before and rule not in coming]
            fresh = [rule for rule in coming if rule not in before]
            if not going and not fresh:
                return
            self._rules = {**before, **dict.fromkeys(fresh)}
            for rule in going:
                del self._rules[rule]
            try:
                await self._change(ruleset.removed(self._table, going) + ruleset.added(self._table, fresh))
            except BaseException:
                self._rules = before
                raise

    async def put_back(self) -> bool:
        """Makes the table again where another program has removed or changed it; says whether it had."""
        async with self._lock:
            if not self._rules or await asyncio.to_thread(self._stands):
                return False
            await asyncio.to_thread(self._run, ruleset.whole(self._table, self._rules))
            return True

    def _stands(self) -> bool:
        try:
            listed = self._run(f"list chain inet {self._table} passing")
        except Fault:
            return False
        return "@bridges drop" in listed

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
