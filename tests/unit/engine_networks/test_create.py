"""What a new network may be, and what is refused by name."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from riad.engine.networks.addresses import DEFAULT_SOURCES, ula_source
from riad.engine.networks.create import HostFacts, NetworkWish, plan_network, plan_settings, with_settings
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import Driver, GatewayMode, Network, mac_address
from riad.engine.networks.published import binding
from riad.kernel.faults import Fault, Kind

ID = "0123456789abcdef" * 4


def plan(wish: NetworkWish, *, own: tuple[str, ...] = (), routes: tuple[str, ...] = ()) -> Network:
    sources = (*DEFAULT_SOURCES, ula_source(bytes(range(5))))
    facts = HostFacts([ip_network(t) for t in own], [ip_network(t) for t in routes], 1450, sources, {"up0": "ef" * 32})
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
        (NetworkWish(""), Kind.INVALID, "invalid network name: name is empty"),
        (NetworkWish("a/b"), Kind.INVALID, "invalid network name 'a/b'"),
        (NetworkWish("a", driver="overlay"), Kind.DENIED, "This node is not a swarm manager."),
        (NetworkWish("a", driver="host"), Kind.DENIED, 'only one instance of "host" network is allowed'),
        (NetworkWish("a", driver="weave"), Kind.NOT_FOUND, 'plugin "weave" not found'),
        (NetworkWish("a", ipam_driver="dhcp"), Kind.INVALID, "IPAM driver 'dhcp'"),
        (NetworkWish("a", ipam_options={"x": "y"}), Kind.UNSUPPORTED, "IPAM option 'x'"),
        (
            NetworkWish("a", options={"com.docker.network.host_ipv4": "10.0.0.1"}),
            Kind.UNSUPPORTED,
            "network option com.docker.network.host_ipv4",
        ),
        (NetworkWish("a", options={"com.docker.network.driver.mtu": "big"}), Kind.INVALID, "'big' is not a size"),
        (NetworkWish("a", options={"com.docker.network.bridge.name": "x" * 16}), Kind.INVALID, "at most 15 characters"),
        (NetworkWish("a", options={"com.docker.network.bridge.enable_icc": "no"}), Kind.INVALID, "neither true nor"),
        (
            NetworkWish("a", options={"com.docker.network.bridge.gateway_mode_ipv4": "nat-unprotected"}),
            Kind.INVALID,
            "invalid gateway mode",
        ),
        (
            NetworkWish("a", options={"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}),
            Kind.INVALID,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
        (NetworkWish("a", pools=(PoolWish(gateway="10.0.0.1"),)), Kind.INVALID, "invalid CIDR block notation"),
        (
            NetworkWish("a", pools=(PoolWish("10.0.0.0/24"), PoolWish("10.1.0.0/24"))),
            Kind.DENIED,
            "bridge driver doesn't support multiple subnets",
        ),
        (
            NetworkWish("a", pools=(PoolWish("10.0.0.0/24", gateway="10.0.1.1", ip_range="10.0.0.7/25"),)),
            Kind.INVALID,
            "invalid network config:\ninvalid ip-range 10.0.0.7/25: it should be 10.0.0.0/25\n"
            "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        ),
        (
            NetworkWish("a", pools=(PoolWish("10.0.0.0/24", gateway="fd00::1"),)),
            Kind.INVALID,
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            NetworkWish("a", driver="macvlan", options={"macvlan_mode": "x"}),
            Kind.INVALID,
            "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
        ),
        (
            NetworkWish("a", driver="ipvlan", options={"ipvlan_mode": "x"}),
            Kind.INVALID,
            "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default",
        ),
        (NetworkWish("a", driver="macvlan", options={"parent": "lo"}), Kind.INVALID, "loopback interface is not"),
        (
            NetworkWish("a", driver="ipvlan", options={"parent": "up0"}),
            Kind.DENIED,
            "network dm-efefefefefef is already using parent interface up0",
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


def test_bindings_that_cannot_be_are_refused_by_name() -> None:
    for arguments, says in (
        ({"proto": "icmp"}, "invalid proto: icmp"),
        ({"proto": "tcp", "host_ip": "fe80::1%eth0"}, "leave the zone"),
        ({"proto": "tcp", "host_ip": "nowhere"}, "invalid host IP address 'nowhere'"),
    ):
        with pytest.raises(Fault, match=says):
            binding(80, **arguments)


def test_ipv6_is_there_for_those_who_ask_from_the_engines_own_prefix() -> None:
    assert plan(NetworkWish("a")).pool6 is None
    assert plan(NetworkWish("a", pools=(PoolWish("fd01::/64"),))).pool6 is None
    first = plan(NetworkWish("a", ipv6=True), routes=("fd00:102:304::/64",)).pool6
    assert first is not None
    assert (str(first.subnet), str(first.gateway)) == ("fd00:102:304:1::/64", "fd00:102:304:1::1")
    both = plan(NetworkWish("a", ipv6=True, pools=(PoolWish("10.0.0.0/24"), PoolWish("fd01::/64", gateway="fd01::9"))))
    assert both.pool is not None and both.pool6 is not None
    assert (str(both.pool.subnet), str(both.pool6.gateway)) == ("10.0.0.0/24", "fd01::9")
    assert plan(NetworkWish("a", options={"com.docker.network.enable_ipv6": "true"})).pool6 is not None


def test_an_option_that_nobody_knows_is_kept() -> None:
    assert plan(NetworkWish("a", options={"x.y": "z"})).options == {"x.y": "z"}


def test_gateway_modes_decide_where_the_bridge_has_addresses() -> None:
    def addresses(**options: str) -> int:
        named = {f"com.docker.network.bridge.{name}": value for name, value in options.items()}
        return len(plan(NetworkWish("a", ipv6=True, internal=True, options=named)).bridge_pools)

    assert addresses() == 2
    assert addresses(gateway_mode_ipv4="isolated") == 1
    assert addresses(inhibit_ipv4="true", gateway_mode_ipv6="isolated") == 0
    routed = plan(NetworkWish("a", options={"com.docker.network.bridge.gateway_mode_ipv4": "routed"}))
    assert (routed.mode, routed.answers_at_gateway) == (GatewayMode.ROUTED, True)


def test_macvlan_and_ipvlan_share_the_subnet_of_the_network_around() -> None:
    wish = NetworkWish("a", driver="macvlan", options={"parent": "eth0.10"}, pools=(PoolWish("10.0.0.0/24"),))
    network = plan(wish, routes=("10.0.0.0/24",))
    assert network.uplink is not None
    assert (network.uplink.parent, network.uplink.mode, network.uplink.dead_end) == ("eth0.10", "bridge", False)
    alone = plan(NetworkWish("a", driver="ipvlan", options={"ipvlan_mode": "l3"}))
    assert alone.uplink is not None and alone.uplink.dead_end
    assert not alone.leads_out and not alone.has_default_gateway
    several = plan(NetworkWish("a", driver="macvlan", pools=(PoolWish("10.0.0.0/24"), PoolWish("10.0.1.0/24"))))
    assert len(several.pools) == 2


def test_settings_of_one_network_make_another() -> None:
    wish = NetworkWish("conf", ipv6=True, pools=(PoolWish("10.0.0.0/24"),), options={"o": "1"}, config_only=True)
    settings = plan_settings(wish, network_id=ID, created="")
    assert not settings.driver.gives_links
    made = plan(with_settings(NetworkWish("a", config_from="conf"), settings))
    assert made.pool is not None and str(made.pool.subnet) == "10.0.0.0/24"
    assert made.pool6 is not None and made.config_from == "conf"
    with pytest.raises(Fault, match="user specified configurations are not supported"):
        with_settings(NetworkWish("a", config_from="conf", options={"x": "y"}), settings)
    with pytest.raises(Fault, match="is not a configuration network"):
        with_settings(NetworkWish("a", config_from="b"), plan(NetworkWish("b")))


def test_mac_addresses_are_read_and_multicast_refused() -> None:
    assert mac_address("02-42-AC-14-00-02") == "02:42:ac:14:00:02"
    for text in ("02:42", "zz:42:ac:14:00:02", "01:00:5e:00:00:01"):
        with pytest.raises(Fault, match="invalid MAC address"):
            mac_address(text)
