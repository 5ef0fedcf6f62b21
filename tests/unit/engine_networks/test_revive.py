"""What becomes of a stored network whose subnet somebody else of the host has now."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from riad.engine.networks.addresses import pool_for
from riad.engine.networks.model import DEFAULT_NETWORK, Driver, Network
from riad.engine.networks.revive import HostRoute, Revival, collision, decide, refusal, warning


def network(name: str = "web", subnet: str = "172.20.0.0/24") -> Network:
    return Network("ab" * 32, name, Driver.BRIDGE, "", pool_for(IPv4Network(subnet)), bridge="br-own")


def route(destination: str, link: str = "other") -> HostRoute:
    return HostRoute(IPv4Network(destination), link)


@pytest.mark.parametrize("destination", ["172.20.0.0/24", "172.20.0.128/25", "172.20.0.7/32"])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_route_of_another_link_into_the_subnet_collides(destination: str, fixed: bool) -> None:
    assert collision(network(), [route(destination)], fixed=fixed) == route(destination)


def test_a_wider_route_is_in_the_way_of_a_chosen_subnet_but_may_be_cut_into_by_a_user() -> None:
    wider = [route("172.16.0.0/12")]
    assert collision(network(), wider, fixed=False) == wider[0]
    assert collision(network(), wider, fixed=True) is None


def test_the_bridges_own_route_and_those_elsewhere_are_not_in_the_way() -> None:
    routes = [route("172.20.0.0/24", "br-own"), route("172.20.1.0/24"), route("10.0.0.0/8")]
    assert collision(network(), routes, fixed=False) is None


def test_a_route_without_link_is_somebody_elses() -> None:
    assert collision(network(), [route("172.20.0.0/24", "")], fixed=False) == route("172.20.0.0/24", "")


def test_a_network_without_subnet_never_collides() -> None:
    none = Network("cd" * 32, "none", Driver.NULL, "")
    assert collision(none, [route("172.20.0.0/24")], fixed=False) is None


@pytest.mark.parametrize(
    ("name", "in_use", "fixed", "expected"),
    [
        (DEFAULT_NETWORK, False, False, Revival.MOVE),
        (DEFAULT_NETWORK, False, True, Revival.KEEP),
        (DEFAULT_NETWORK, True, False, Revival.KEEP),
        (DEFAULT_NETWORK, True, True, Revival.KEEP),
        ("web", False, False, Revival.MOVE),
        ("web", False, True, Revival.REFUSE),
        ("web", True, False, Revival.KEEP),
        ("web", True, True, Revival.KEEP),
    ],
)
def test_what_nobody_chose_and_nobody_uses_is_moved(name: str, in_use: bool, fixed: bool, expected: Revival) -> None:
    assert decide(network(name), in_use=in_use, fixed=fixed) is expected


def test_what_is_said_names_the_network_the_route_and_the_way_out() -> None:
    by_bip = warning(network(DEFAULT_NETWORK), route("172.20.0.0/24", "riad-b"), fixed=True)
    assert "network bridge (172.20.0.0/24) collides with the host's route to 172.20.0.0/24 by the link riad-b" in by_bip
    assert by_bip.endswith("choose another --bip")
    assert "stop its containers and restart" in warning(network(DEFAULT_NETWORK), route("172.20.0.0/24"), fixed=False)
    assert "another --subnet" in warning(network(), route("172.20.0.0/24"), fixed=True)
    refused = refusal(network(), route("172.20.0.0/24", ""))
    assert refused.startswith(
        "network web (172.20.0.0/24) cannot be brought up: it collides with the host's route to 172.20.0.0/24;"
    )
