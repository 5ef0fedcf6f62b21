"""dockerd's flags about networks."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from riad.engine.networks.addresses import Source, free_subnet, source_of
from riad.engine.networks.defaults import DefaultBridge
from riad.engine.networks.flags import NetworkFlags
from riad.engine.networks.ipam import Taken
from riad.kernel.faults import Fault


def test_flags_shape_the_default_bridge() -> None:
    flags = NetworkFlags(bip="10.9.0.1/16", fixed_cidr="10.9.8.0/24", fixed_cidr_v6="fd09::/64", ip="127.0.0.1")
    settings = flags.settings("ab" * 4, Path("/x"))
    wanted = DefaultBridge(
        "riad0",
        bip=settings.bip,
        fixed=settings.fixed_cidr,
        fixed6=settings.fixed_cidr_v6,
        host_binding=settings.host_binding,
    )
    made = wanted.made(None, Taken((), ()), network_id="ab" * 32, moment="")
    assert made.pool is not None and made.pool6 is not None
    assert (str(made.pool.gateway), str(made.pool.range)) == ("10.9.0.1", "10.9.8.0/24")
    assert (str(made.pool6.subnet), made.host_binding) == ("fd09::/64", "127.0.0.1")
    assert wanted.fits(made)
    assert not DefaultBridge("riad0", ipv6=False).fits(made)


def test_pools_say_where_subnets_come_from() -> None:
    assert source_of("base=10.50.0.0/16,size=26") == Source(ip_network("10.50.0.0/16"), 26)
    sources = [source_of("base=10.50.0.0/16,size=26")]
    assert str(free_subnet([ip_network("10.50.0.0/24")], sources=sources)) == "10.50.1.0/26"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"bip": "10.0.0.0/24"}, "--bip 10.0.0.0/24: expected the gateway's own address"),
        ({"bip": "x"}, "--bip x: expected an address with its prefix"),
        ({"fixed_cidr": "10.0.0.0/25"}, "expected a part of the network of --bip"),
        ({"fixed_cidr_v6": "10.0.0.0/25"}, "--fixed-cidr-v6 10.0.0.0/25"),
        ({"ip": "::1"}, "--ip ::1: expected an IPv4 address"),
        ({"dns": ("ns.example",)}, "--dns ns.example: expected the address"),
        ({"pools": ("10.0.0.0/8",)}, "expected base=SUBNET,size=BITS"),
        ({"pools": ("base=10.0.0.0/24,size=16",)}, "size is a prefix length from 24 to 30"),
        ({"pools": ("base=10.0.0.1/24,size=26",)}, "it should be 10.0.0.0/24"),
    ],
)
def test_flags_that_make_no_sense_are_refused_by_name(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(Fault, match=says):
        NetworkFlags(**flags).settings("ab" * 4, Path("/x"))
