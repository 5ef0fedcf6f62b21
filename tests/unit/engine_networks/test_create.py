"""What a new network may be, and what is refused by name."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from riad.engine.networks.create import HostFacts, NetworkWish, PoolWish, plan_network
from riad.engine.networks.model import Driver, Network, binding, mac_address
from riad.kernel.faults import Fault, Kind

ID = "0123456789abcdef" * 4


def plan(wish: NetworkWish, *, own: tuple[str, ...] = (), routes: tuple[str, ...] = ()) -> Network:
    facts = HostFacts([IPv4Network(t) for t in own], [IPv4Network(t) for t in routes], 1450)
    return plan_network(wish, facts, network_id=ID, created="2026-01-01T00:00:00Z")


def refused(wish: NetworkWish, **facts: tuple[str, ...]) -> Fault:
    with pytest.raises(Fault) as caught:
        plan(wish, **facts)
    return caught.value


def test_a_network_of_which_only_the_name_is_said_gets_the_rest_chosen() -> None:
    network = plan(NetworkWish("web"), routes=("172.20.0.0/24",))
    assert network.pool is not None
    assert (str(network.pool.subnet), str(network.pool.gateway)) == ("172.20.1.0/24", "172.20.1.1")
    assert (network.bridge, network.mtu, network.driver) == ("br-0123456789ab", 1450, Driver.BRIDGE)


def test_dockers_bridge_options_are_understood() -> None:
    network = plan(
        NetworkWish(
            "web",
            options={
                "com.docker.network.bridge.name": "webbr0",
                "com.docker.network.bridge.enable_ip_masquerade": "false",
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
                "com.docker.network.driver.mtu": "1400",
            },
        )
    )
    assert (network.bridge, network.mtu, network.host_binding) == ("webbr0", 1400, "127.0.0.1")
    assert not network.masquerade and not network.between_containers


@pytest.mark.parametrize(
    ("wish", "kind", "says"),
    [
        (NetworkWish("bridge"), Kind.DENIED, "operation is not permitted on predefined bridge network"),
        (NetworkWish(""), Kind.INVALID, "network name cannot be empty"),
        (NetworkWish("a/b"), Kind.INVALID, "invalid network name 'a/b'"),
        (NetworkWish("a", driver="overlay"), Kind.UNSUPPORTED, "driver overlay"),
        (NetworkWish("a", driver="macvlan"), Kind.UNSUPPORTED, "driver macvlan"),
        (NetworkWish("a", driver="host"), Kind.DENIED, "only one instance of 'host' network is allowed"),
        (NetworkWish("a", driver="weave"), Kind.NOT_FOUND, 'plugin "weave" not found'),
        (NetworkWish("a", ipv6=True), Kind.UNSUPPORTED, "EnableIPv6"),
        (NetworkWish("a", ipam_driver="dhcp"), Kind.UNSUPPORTED, "IPAM driver 'dhcp'"),
        (NetworkWish("a", ipam_options={"x": "y"}), Kind.UNSUPPORTED, "IPAM option 'x'"),
        (NetworkWish("a", options={"x.y": "z"}), Kind.UNSUPPORTED, "network option 'x.y'"),
        (NetworkWish("a", options={"com.docker.network.driver.mtu": "big"}), Kind.INVALID, "'big' is not a size"),
        (NetworkWish("a", options={"com.docker.network.bridge.name": "x" * 16}), Kind.INVALID, "at most 15 characters"),
        (NetworkWish("a", options={"com.docker.network.bridge.enable_icc": "no"}), Kind.INVALID, "neither true nor"),
        (NetworkWish("a", pools=(PoolWish("fd00::/64"),)), Kind.UNSUPPORTED, "IPv6 is not supported yet"),
        (NetworkWish("a", pools=(PoolWish(gateway="10.0.0.1"),)), Kind.INVALID, "must have a corresponding subnet"),
        (
            NetworkWish("a", pools=(PoolWish("10.0.0.0/24"), PoolWish("10.1.0.0/24"))),
            Kind.UNSUPPORTED,
            "several subnets",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(wish: NetworkWish, kind: Kind, says: str) -> None:
    fault = refused(wish)
    assert says in fault.message
    assert fault.kind is kind


def test_subnets_of_own_networks_and_routes_inside_are_taken() -> None:
    wish = NetworkWish("a", pools=(PoolWish("10.0.0.0/16"),))
    for facts in ({"own": ("10.0.5.0/24",)}, {"routes": ("10.0.5.0/24",)}, {"routes": ("10.0.0.0/16",)}):
        fault = refused(wish, **facts)
        assert fault.message.startswith("Pool overlaps with other one on this address space")
        assert fault.kind is Kind.DENIED


def test_a_wider_route_may_be_cut_into_on_purpose() -> None:
    assert plan(NetworkWish("a", pools=(PoolWish("10.0.0.0/24"),)), routes=("10.0.0.0/8", "0.0.0.0/0")).pool


@pytest.mark.parametrize(
    ("text", "first", "last"), [("", 0, 0), ("0", 0, 0), ("80", 80, 0), ("80-80", 80, 0), ("8000-8010", 8000, 8010)]
)
def test_host_ports_are_read_as_docker_writes_them(text: str, first: int, last: int) -> None:
    found = binding(80, "tcp", host_port=text)
    assert (found.host_port, found.host_port_end) == (first, last)


@pytest.mark.parametrize("text", ["x", "80-", "90-80", "70000", "-1", "1-2-3"])
def test_host_ports_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Fault, match="invalid port specification"):
        binding(80, "tcp", host_port=text)


def test_bindings_that_we_cannot_make_are_refused_by_name() -> None:
    for arguments, says in (
        ({"proto": "sctp"}, "only tcp and udp"),
        ({"proto": "tcp", "host_ip": "::1"}, "IPv6 is not supported yet"),
        ({"proto": "tcp", "host_ip": "nowhere"}, "invalid host address 'nowhere'"),
    ):
        with pytest.raises(Fault, match=says):
            binding(80, **arguments)


def test_mac_addresses_are_read_and_multicast_refused() -> None:
    assert mac_address("02-42-AC-14-00-02") == "02:42:ac:14:00:02"
    for text in ("02:42", "zz:42:ac:14:00:02", "01:00:5e:00:00:01"):
        with pytest.raises(Fault, match="invalid MAC address"):
            mac_address(text)
