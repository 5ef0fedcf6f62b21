"""What becomes of a stored network when its bridge is made again. Pure.

While an engine is away its bridges are, too, and another engine or program of the host may take their subnets. Two
links with one subnet split its packets between them: containers then reach neither their gateway nor its names.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from riad.engine.networks.addresses import within
from riad.engine.networks.model import Driver, Network, Subnet


@dataclass(frozen=True, slots=True)
class HostRoute:
    """`link` is empty for a route without a link of its own, such as a blackhole."""

    destination: Subnet
    link: str

    def __str__(self) -> str:
        return f"the host's route to {self.destination}" + (f" by the link {self.link}" if self.link else "")


class Revival(enum.Enum):
    KEEP = "keep"
    """Its bridge is made with the subnet it had, a collision notwithstanding."""
    MOVE = "move"
    """It gets a free subnet."""
    REFUSE = "refuse"
    """It stays without bridge for as long as the collision lasts."""


def collision(network: Network, routes: Iterable[HostRoute], *, fixed: bool) -> HostRoute | None:
    """The first route of another link that is in the way of the network's subnet; None where none is.

    A subnet that a user chose (`fixed`) may lie within a wider route on purpose, as when the network was created.
    """
    if network.driver is not Driver.BRIDGE:
        return None  # their subnets are the host's own network's
    foreign = [route for route in routes if not route.link or route.link != network.bridge]
    for pool in network.pools:
        for route in foreign:
            if within(route.destination, pool.subnet) if fixed else route.destination.overlaps(pool.subnet):
                return route
    return None


def decide(network: Network, *, in_use: bool, fixed: bool) -> Revival:
    """Of a network that collides. `in_use`: live containers have addresses of it, which cannot be changed now."""
    if in_use:
        return Revival.KEEP
    if not fixed:
        return Revival.MOVE
    return Revival.KEEP if network.is_default else Revival.REFUSE


def warning(network: Network, obstacle: HostRoute, *, fixed: bool) -> str:
    """For a network that is kept although it collides."""
    way_out = "choose another --bip" if fixed else "stop its containers and restart the engine, which then moves it"
    if fixed and not network.is_default:
        way_out = "remove that route, or create the network anew with another --subnet"
    return (
        f"{_told(network)} collides with {obstacle}: its containers may reach nothing and resolve no names; {way_out}"
    )


def refusal(network: Network, obstacle: HostRoute) -> str:
    return (
        f"{_told(network)} cannot be brought up: it collides with {obstacle};"
        " remove that route, or remove the network and create it with another --subnet"
    )


def _told(network: Network) -> str:
    return f"network {network.name} ({network.pool.subnet if network.pool else 'no subnet'})"
