"""Which subnet a network gets and which address a container."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.networks.addresses import (
    DEFAULT_SOURCES,
    fixed_address,
    free_address,
    free_subnet,
    mac_for,
    network_of,
    pool_for,
)
from riad.kernel.faults import Fault, Kind


def ip(text: str) -> IPv4Address:
    return IPv4Address(text)


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


def test_the_first_subnet_clear_of_everything_is_taken() -> None:
    assert free_subnet([]) == net("172.20.0.0/24")
    assert free_subnet([net("172.20.0.0/24"), net("172.20.1.128/25")]) == net("172.20.2.0/24")
    assert free_subnet([net("172.16.0.0/12")]) == net("10.210.0.0/24")


def test_without_any_room_the_way_out_is_named() -> None:
    with pytest.raises(Fault, match="docker network prune") as caught:
        free_subnet([net("0.0.0.0/0")])
    assert caught.value.kind is Kind.EXHAUSTED


def test_addresses_go_round_and_skip_gateway_ends_reserved_and_used() -> None:
    pool = pool_for(net("10.1.0.0/29"), reserved={"printer": "10.1.0.3"})
    given_out = []
    after = None
    for _ in range(4):
        after = free_address(pool, given_out, after=after)
        if after is None:
            break
        given_out.append(after)
    assert given_out == [ip("10.1.0.2"), ip("10.1.0.4"), ip("10.1.0.5"), ip("10.1.0.6")]
    assert free_address(pool, given_out) is None
    assert free_address(pool, given_out[1:], after=ip("10.1.0.6")) == ip("10.1.0.2")


def test_a_fresh_container_does_not_inherit_the_address_just_given_back() -> None:
    pool = pool_for(net("10.1.0.0/24"))
    assert free_address(pool, [], after=ip("10.1.0.2")) == ip("10.1.0.3")


def test_a_range_narrows_what_is_given_not_what_may_be_fixed() -> None:
    pool = pool_for(net("10.1.0.0/24"), ip_range="10.1.0.128/30")
    assert pool.gateway == ip("10.1.0.129")
    assert free_address(pool, []) == ip("10.1.0.128")
    assert fixed_address([pool], "10.1.0.7", []) == ip("10.1.0.7")


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("nonsense", Kind.INVALID, "invalid IP address: nonsense"),
        ("10.2.0.1", Kind.INVALID, "no configured subnet or ip-range contain the IP address 10.2.0.1"),
        ("10.1.0.1", Kind.DENIED, "Address already in use"),
        ("10.1.0.9", Kind.DENIED, "Address already in use"),
        ("10.1.0.255", Kind.DENIED, "Address already in use"),
    ],
)
def test_fixed_addresses_that_cannot_be_are_refused(text: str, kind: Kind, says: str) -> None:
    with pytest.raises(Fault, match=says) as caught:
        fixed_address([pool_for(net("10.1.0.0/24"))], text, [ip("10.1.0.9")])
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("gateway", "ip_range", "reserved", "says"),
    [
        ("10.9.0.1", "", {}, "invalid gateway 10.9.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"),
        ("x", "", {}, "invalid gateway x: invalid address"),
        ("", "10.9.0.0/30", {}, "invalid ip-range 10.9.0.0/30: parent subnet 10.1.0.0/24 doesn't contain ip-range"),
        ("", "x", {}, "invalid ip-range x: invalid CIDR address"),
        ("", "", {"a": "10.9.0.1"}, "invalid auxiliary address a 10.9.0.1: parent subnet"),
    ],
)
def test_what_does_not_fit_the_subnet_is_named(
    gateway: str, ip_range: str, reserved: dict[str, str], says: str
) -> None:
    with pytest.raises(Fault) as caught:
        pool_for(net("10.1.0.0/24"), gateway=gateway, ip_range=ip_range, reserved=reserved)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.1.0.0/33", "invalid CIDR address: 10.1.0.0/33"),
        ("10.1.0.5/24", "invalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"),
    ],
)
def test_a_subnet_is_its_own_first_address(text: str, says: str) -> None:
    with pytest.raises(Fault) as caught:
        network_of(text)
    assert says in caught.value.message


def test_a_subnet_without_room_for_a_container_is_refused() -> None:
    with pytest.raises(Fault, match="no room for a gateway and a container"):
        pool_for(net("10.1.0.0/31"))


def test_the_mac_follows_from_the_address() -> None:
    assert mac_for(ip("172.20.0.2")) == "02:42:ac:14:00:02"


subnets = st.builds(
    lambda base, prefix: IPv4Network((base, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 32),
)


@given(st.lists(subnets, max_size=20))
def test_a_free_subnet_overlaps_nothing(taken: list[IPv4Network]) -> None:
    try:
        found = free_subnet(taken)
    except Fault:
        return
    assert not any(found.overlaps(other) for other in taken)
    assert any(found.subnet_of(source.base) for source in DEFAULT_SOURCES)


@given(st.integers(24, 30), st.data())
def test_every_address_is_given_exactly_once(prefix: int, data: st.DataObject) -> None:
    pool = pool_for(IPv4Network((ip("10.1.0.0"), prefix)))
    used: list[IPv4Address] = []
    after = data.draw(st.none() | st.integers(0, pool.subnet.num_addresses - 1).map(lambda n: pool.subnet[n]))
    while (address := free_address(pool, used, after=after)) is not None:
        assert address not in used
        used.append(address)
        after = address
    assert len(used) == pool.subnet.num_addresses - 3
