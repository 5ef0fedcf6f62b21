"""What a new network is to be: checks a wish and decides name, subnets and device. Pure; host facts are arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from riad.engine.networks import addresses, ipam, options
from riad.engine.networks.addresses import Source
from riad.engine.networks.ipam import PoolWish, Taken
from riad.engine.networks.model import PREDEFINED, Driver, Network, Subnet
from riad.kernel.faults import denied, invalid, not_found, unsupported

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class NetworkWish:
    """`ipv6` None: nobody said, the driver options decide. `config_from` names a network that holds settings only."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv6: bool | None = None
    pools: tuple[PoolWish, ...] = ()
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    config_only: bool = False
    config_from: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is taken on this host, how large packets may be, and the parents that networks of ours use (→ their id)."""

    own_subnets: Collection[Subnet]
    routes: Collection[Subnet]
    mtu: int
    sources: Collection[Source] = addresses.DEFAULT_SOURCES
    parents: Mapping[str, str] = field(default_factory=dict)


def plan_network(wish: NetworkWish, facts: HostFacts, *, network_id: str, created: str) -> Network:
    """Raises INVALID, DENIED or UNSUPPORTED with Docker's sentences where it has them."""
    check_name(wish.name)
    driver = _driver(wish)
    asked = wish.options
    options.strangers(driver.value, asked)
    if not options.flag(asked, options.ENABLE_IPV4, default=True):
        raise unsupported("EnableIPv4=false is not supported: networks have IPv4, and IPv6 if asked")
    ipv6 = options.flag(asked, options.ENABLE_IPV6, default=False) if wish.ipv6 is None else wish.ipv6
    base = Network(
        id=network_id,
        name=wish.name,
        driver=driver,
        created=created,
        mtu=options.mtu(asked, facts.mtu),
        internal=wish.internal,
        attachable=wish.attachable,
        link_prefix=options.link_prefix(asked),
        labels=dict(wish.labels),
        options=dict(asked),
        ipam_options=dict(wish.ipam_options),
        config_from=wish.config_from,
    )
    if driver is Driver.BRIDGE:
        return _bridge(base, wish, facts, ipv6=ipv6)
    return _on_uplink(base, wish, facts, ipv6=ipv6)


def check_name(name: str) -> None:
    """Raises DENIED for a predefined name, INVALID for one that cannot be."""
    if name in (*PREDEFINED, "default"):
        raise denied(f"operation is not permitted on predefined {name} network ")
    if not name.strip():
        raise invalid("invalid network name: name is empty")
    if not _NAME.fullmatch(name):
        raise invalid(f"invalid network name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed")


def plan_settings(wish: NetworkWish, *, network_id: str, created: str) -> Network:
    """A network that only holds settings for others (`--config-only`); raises as `plan_network`."""
    check_name(wish.name)
    if wish.config_from:
        raise denied("a configuration network cannot depend on another configuration network")
    ipam.check((w for w in wish.pools if w != PoolWish()), ipv6=True)
    return Network(
        id=network_id,
        name=wish.name,
        driver=Driver.NULL,
        created=created,
        attachable=wish.attachable,
        internal=wish.internal,
        labels=dict(wish.labels),
        options=dict(wish.options),
        ipam_options=dict(wish.ipam_options),
        settings=_settings(wish),
    )


def with_settings(wish: NetworkWish, source: Network) -> NetworkWish:
    """`--config-from`: what `source` holds. Raises DENIED where the wish has settings of its own, as Docker does."""
    if source.settings is None:
        raise invalid(f'configuration network "{source.name}" is not a configuration network')
    if wish.pools or wish.options or wish.ipv6 or wish.internal or wish.ipam_options:
        raise denied(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    pools = tuple(PoolWish(**pool) for pool in source.settings["pools"])
    return replace(
        wish,
        internal=source.internal,
        ipv6=source.settings["ipv6"],
        pools=pools,
        options=source.options,
        ipam_options=source.ipam_options,
        labels={**source.labels, **wish.labels},
    )


def _settings(wish: NetworkWish) -> Mapping[str, Any]:
    names = ("subnet", "ip_range", "gateway", "reserved")
    return {"ipv6": wish.ipv6, "pools": [{name: getattr(pool, name) for name in names} for pool in wish.pools]}


def _driver(wish: NetworkWish) -> Driver:
    if wish.driver in ("host", "null", "none"):
        name = "null" if wish.driver == "none" else wish.driver
        raise denied(f'only one instance of "{name}" network is allowed')
    if wish.driver == "overlay":
        raise denied(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to'
            " swarm and try again."
        )
    if wish.ipam_driver not in ("default", ""):
        raise invalid(f"could not resolve IPAM driver {wish.ipam_driver!r}: IPAM plugins are not supported")
    if wish.ipam_options:
        raise unsupported(f"IPAM option {next(iter(wish.ipam_options))!r} is not supported")
    if wish.driver in ("default", ""):
        return Driver.BRIDGE
    if wish.driver not in ("bridge", "macvlan", "ipvlan"):
        raise not_found(f'plugin "{wish.driver}" not found')
    return Driver(wish.driver)


def _bridge(base: Network, wish: NetworkWish, facts: HostFacts, *, ipv6: bool) -> Network:
    asked = wish.options
    pools = ipam.plan_pools(wish.pools, Taken(facts.own_subnets, facts.routes, facts.sources), ipv6=ipv6)
    if pools.more:
        raise denied("bridge driver doesn't support multiple subnets")
    masquerade = options.flag(asked, options.MASQUERADE, default=True)
    mode = options.gateway_mode(asked, options.GATEWAY_MODE, internal=wish.internal)
    mode6 = options.gateway_mode(asked, options.GATEWAY_MODE6, internal=wish.internal)
    return replace(
        base,
        pool=pools.ipv4,
        pool6=pools.ipv6,
        bridge=options.bridge_name(asked, f"br-{base.id[:12]}"),
        masquerade=masquerade,
        masquerade6=masquerade,
        mode=mode,
        mode6=mode6,
        has_gateway_address=not options.flag(asked, options.INHIBIT_IPV4, default=False),
        between_containers=options.flag(asked, options.ICC, default=True),
        host_binding=options.host_binding(asked),
    )


def _on_uplink(base: Network, wish: NetworkWish, facts: HostFacts, *, ipv6: bool) -> Network:
    """Their subnets are those of the network around on purpose, so the host's routes to these are no obstacle."""
    routes = facts.routes if not wish.pools else ()
    pools = ipam.plan_pools(wish.pools, Taken(facts.own_subnets, routes, facts.sources), ipv6=ipv6)
    read = options.macvlan if base.driver is Driver.MACVLAN else options.ipvlan
    made_up = f"dm-{base.id[:12]}"
    uplink = read(wish.options, default_parent=made_up)
    if uplink.parent in facts.parents:
        other = facts.parents[uplink.parent]
        raise denied(f"network dm-{other[:12]} is already using parent interface {uplink.parent}")
    return replace(
        base,
        pool=pools.ipv4,
        pool6=pools.ipv6,
        more_pools=pools.more,
        uplink=replace(uplink, dead_end=uplink.parent == made_up),
    )
