"""Publishing rules go into the table through here, each with what the host's own firewall says about its port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from riad.engine.host import conntrack
from riad.engine.host.netlink import Netlink
from riad.engine.networks import hostfacts
from riad.engine.networks.closing import closed
from riad.engine.networks.firewall import Firewall
from riad.engine.networks.hostfirewall import Ruleset, read_ruleset
from riad.engine.networks.ruleset import ClosedRule, PortRule, Rule
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.networks")


@dataclass(frozen=True, slots=True)
class HostSide:
    """The host's rules but ours, and the links by which packets from outside come."""

    ruleset: Ruleset = field(default_factory=Ruleset)
    links: tuple[str, ...] = ()

    @property
    def has_docker(self) -> bool:
        """dockerd's chain for others may be there: seen among the rules, or hidden in those of iptables-legacy."""
        seen = any("DOCKER-USER" in table.chains for table in self.ruleset.tables)
        return seen or self.has_hidden_rules

    @property
    def has_hidden_rules(self) -> bool:
        """iptables-legacy is in use, whose rules nft does not show."""
        return _has_legacy_rules()


class Gate:
    """`listing` gives all rules of the host as JSON and may block; `is_own` says which links are this engine's."""

    def __init__(
        self, firewall: Firewall, listing: Callable[[], str], *, own_table: str, is_own: Callable[[str, str], bool]
    ) -> None:
        self._firewall = firewall
        self._listing = listing
        self._own_table = own_table
        self._is_own = is_own
        self._host = HostSide()

    @property
    def host(self) -> HostSide:
        """As it was last looked at."""
        return self._host

    async def look(self) -> None:
        """Reads the host's rules and links again. What cannot be read counts as no rules, and is logged."""
        try:
            self._host = await asyncio.to_thread(self._look)
        except (Fault, ValueError, KeyError, TypeError) as error:
            self._host = HostSide()
            _log.warning("the host's firewall could not be judged", extra=logs.fields(reason=str(error)))

    def _look(self) -> HostSide:
        ruleset = read_ruleset(self._listing()).without([self._own_table])
        return HostSide(ruleset, outer_links(self._is_own))

    def closed(self, rules: Iterable[Rule]) -> list[ClosedRule]:
        return closed(self._host.ruleset, self._host.links, rules)

    async def change(self, before: Collection[Rule], after: Collection[Rule]) -> None:
        """Publishes `after` instead of `before`, in one transaction. Raises INTERNAL where the kernel refuses."""
        going = [rule for rule in self.closed(before) if not self._is_needed(rule, before)]
        await self._firewall.change([*before, *going], [*after, *self.closed(after)])
        changed = set(before) ^ set(after)
        if ports := {rule.host_port for rule in changed if isinstance(rule, PortRule) and rule.proto == "udp"}:
            await asyncio.to_thread(conntrack.forget_udp, ports)

    async def refresh(self) -> None:
        """After the host's rules or links have changed."""
        await self.look()
        await self._judge_again()

    async def refresh_links(self) -> None:
        """After addresses of the host have changed: the rules are as they were."""
        links = await asyncio.to_thread(outer_links, self._is_own)
        if links != self._host.links:
            self._host = replace(self._host, links=links)
            await self._judge_again()

    async def _judge_again(self) -> None:
        known = self._firewall.rules()
        await self._firewall.change([rule for rule in known if isinstance(rule, ClosedRule)], self.closed(known))

    def _is_needed(self, wanted: ClosedRule, before: Collection[Rule]) -> bool:
        """Another container publishes the same number, on another address."""
        leaving = set(before)
        return any(
            isinstance(rule, PortRule)
            and (rule.proto, rule.host_port, rule.address.version) == (wanted.proto, wanted.host_port, wanted.version)
            and rule not in leaving
            for rule in self._firewall.rules()
        )


def outer_links(is_own: Callable[[str, str], bool]) -> tuple[str, ...]:
    """The host's links that have addresses and are neither the loopback nor the engine's own. Blocking."""
    with Netlink() as host:
        known = [*host.addresses(), *(host.addresses(6) if hostfacts.has_ipv6() else ())]
        addressed = {index for index, address in known if not address.is_link_local}
        return tuple(
            link.name
            for link in host.links()
            if link.index in addressed and link.name != "lo" and not is_own(link.name, link.alias)
        )


def _has_legacy_rules() -> bool:
    try:
        return "filter" in Path("/proc/net/ip_tables_names").read_text().split()
    except OSError:
        return False
