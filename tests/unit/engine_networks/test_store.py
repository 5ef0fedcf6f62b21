"""What is stored is found again as it was, also what an older engine stored."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from riad.engine.networks.addresses import pool_for
from riad.engine.networks.create import HostFacts, NetworkWish, plan_network, plan_settings
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import Endpoint, GatewayMode, NameWishes, PortBinding, PublishedPort, Uplink
from riad.engine.networks.store import STEPS, NetworkStore, SandboxRow
from riad.engine.state import State


def test_networks_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
    facts = HostFacts((), (), 1500)
    pools = (PoolWish("10.0.0.0/24", ip_range="10.0.0.0/25", reserved={"p": "10.0.0.9"}), PoolWish("fd00::/64"))
    bridge = plan_network(NetworkWish("a", ipv6=True, pools=pools), facts, network_id="aa" * 32, created="1")
    bridge = replace(bridge, mode=GatewayMode.ROUTED, mode6=GatewayMode.NAT, has_gateway_address=False)
    lan = plan_network(
        NetworkWish("b", driver="macvlan", pools=(PoolWish("10.1.0.0/24"), PoolWish("10.2.0.0/24"))),
        facts,
        network_id="bb" * 32,
        created="2",
    )
    settings = plan_settings(NetworkWish("c", pools=pools, config_only=True), network_id="cc" * 32, created="3")
    assert isinstance(lan.uplink, Uplink)
    store = NetworkStore(State(tmp_path))
    for network in (bridge, lan, settings):
        store.add_network(network)
    assert store.networks() == [bridge, lan, settings]


def test_what_a_container_has_comes_back_as_it_was(tmp_path: Path) -> None:
    state = State(tmp_path)
    store = NetworkStore(state)
    network = plan_network(NetworkWish("a"), HostFacts((), (), 1500), network_id="aa" * 32, created="1")
    store.add_network(network)
    wanted = (PortBinding(80, host_port=8000, host_port_end=8010), PortBinding(53, "udp", "::1"))
    row = SandboxRow("cc" * 32, "web", "h", "d", False, NameWishes(servers=("9.9.9.9",)), wanted)
    store.add_sandbox(row)
    made = store.add_endpoint(
        Endpoint(
            "ee", 0, network.id, row.container_id, IPv4Address("172.20.0.2"), "02:42:ac:14:00:02", "eth0",
            ("nick",), IPv6Address("fd00::2"), {"net.ipv4.conf.IFNAME.forwarding": "1"},
        )
    )  # fmt: skip
    port = PublishedPort(80, "tcp", "::", 8000)
    store.add_port(row.container_id, port)
    assert (store.sandboxes(), store.endpoints(), store.ports()) == ([row], [made], [(row.container_id, port)])
    store.delete_port(row.container_id, port)
    store.want_ports(row.container_id, ())
    assert (store.ports(), store.sandboxes()) == ([], [replace(row, wanted=())])
    assert store.global_id() == NetworkStore(state).global_id() and len(store.global_id()) == 5


def test_the_state_of_an_older_engine_is_taken_over(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.migrate("networks", STEPS[:1])
    old_pool = {"subnet": "172.20.0.0/24", "gateway": "172.20.0.1", "range": None, "reserved": {}, "by_user": False}
    document = {"pool": old_pool, "mtu": 1500, "internal": False, "attachable": False, "masquerade": True}
    document |= {"between_containers": True, "host_binding": "0.0.0.0", "labels": {}, "options": {}, "ipam_options": {}}
    with state.transaction() as sql:
        sql.execute("INSERT INTO network VALUES ('n', 'web', 'bridge', '', 'br-n', ?)", (json.dumps(document),))
        names = {"servers": [], "search": [], "options": [], "hosts": []}
        sql.execute("INSERT INTO network_sandbox VALUES ('c', 'name', 'h', '', 0, ?)", (json.dumps(names),))
        sql.execute("INSERT INTO network_endpoint VALUES (7, 'e', 'n', 'c', '172.20.0.2', '02:00', 'eth0', '[]')")
        sql.execute("INSERT INTO network_port VALUES ('c', 'tcp', '0.0.0.0', 8080, 80)")
    store = NetworkStore(state)
    (network,), (row,), (endpoint,) = store.networks(), store.sandboxes(), store.endpoints()
    assert network.pool == pool_for(network.pool.subnet, by_user=False) if network.pool else False
    assert (network.pool6, network.mode, row.wanted, endpoint.address6) == (None, GatewayMode.NAT, (), None)
    assert store.ports() == [("c", PublishedPort(80, "tcp", "0.0.0.0", 8080))]
