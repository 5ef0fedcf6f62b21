"""Networks that share a link of the host: macvlan, ipvlan, their modes, parents and sub-interfaces."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from riad.engine.host.netlink import Netlink
from riad.engine.networks.create import NetworkWish
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import EndpointWish, Network
from riad.kernel.faults import Fault, Kind

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.root


@pytest.fixture
def parent() -> Iterator[str]:
    """A link of the host: one end of a pair."""
    name = f"nwp{secrets.token_hex(3)}"
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}x"], check=True)
    for each in (name, f"{name}x"):
        subprocess.run(["ip", "link", "set", each, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


def has_link(name: str) -> bool:
    with Netlink() as host:
        return host.link(name) is not None


async def shared(bench: Bench, driver: str, subnet: str, **options: str) -> Network:
    try:
        return await bench.networks.create(
            NetworkWish("shared", driver=driver, pools=(PoolWish(subnet),), options=options)
        )
    except Fault as fault:
        if fault.kind is Kind.UNSUPPORTED:
            pytest.skip(fault.message)
        raise


def subnet() -> str:
    return f"10.{60 + secrets.randbelow(30)}.{secrets.randbelow(256)}.0/24"


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("macvlan", {}),
        ("macvlan", {"macvlan_mode": "bridge"}),
        ("ipvlan", {}),
        ("ipvlan", {"ipvlan_mode": "l3"}),
        ("ipvlan", {"ipvlan_mode": "l3s"}),
    ],
)
async def test_containers_of_one_parent_reach_each_other_and_know_their_names(
    bench: Bench, parent: str, driver: str, options: dict[str, str]
) -> None:
    await shared(bench, driver, subnet(), parent=parent, **options)
    server, client = await bench.add("shared", name="web"), await bench.add("shared")
    await bench.listen(server, 4000)
    endpoint = server.endpoints["shared"]
    assert await bench.ask(client, str(endpoint.address), 4000) == str(client.endpoints["shared"].address)
    assert bench.networks.resolv_conf(client.container_id).startswith("nameserver 127.0.0.11\n")
    assert await bench.lookup(client, "127.0.0.11", "web") == str(endpoint.address)
    await bench.restart([server.container_id, client.container_id])
    assert await bench.lookup(client, "127.0.0.11", "web") == str(endpoint.address)


async def test_private_macvlan_links_do_not_reach_each_other(bench: Bench, parent: str) -> None:
    await shared(bench, "macvlan", subnet(), parent=parent, macvlan_mode="private")
    server, client = await bench.add("shared"), await bench.add("shared")
    await bench.listen(server, 4000)
    assert (await bench.ask(client, str(server.endpoints["shared"].address), 4000)).startswith("!")


async def test_the_default_route_is_the_gateway_or_the_link_itself(bench: Bench, parent: str) -> None:
    network = await shared(bench, "macvlan", subnet(), parent=parent)
    container = await bench.add("shared")
    assert network.pool is not None
    assert f"default via {network.pool.gateway} dev eth0" in await bench.run(container, "ip", "route")
    await bench.networks.release(container.container_id)
    await bench.networks.remove("shared")
    await shared(bench, "ipvlan", subnet(), parent=parent, ipvlan_mode="l3")
    assert "default dev eth0" in await bench.run(await bench.add("shared"), "ip", "route")


async def test_a_network_without_parent_joins_its_containers_to_each_other_only(bench: Bench) -> None:
    network = await shared(bench, "macvlan", subnet())
    server, client = await bench.add("shared"), await bench.add("shared")
    await bench.listen(server, 4000)
    assert not (await bench.ask(client, str(server.endpoints["shared"].address), 4000)).startswith("!")
    assert "default" not in await bench.run(client, "ip", "route")
    for sandbox in (server, client):
        await bench.networks.release(sandbox.container_id)
    assert has_link(f"dm-{network.id[:12]}")
    await bench.networks.remove("shared")
    assert not has_link(f"dm-{network.id[:12]}")


async def test_a_sub_interface_is_made_and_removed_with_its_network(bench: Bench, parent: str) -> None:
    await shared(bench, "macvlan", subnet(), parent=f"{parent}.10")
    assert has_link(f"{parent}.10")
    await bench.networks.remove("shared")
    assert not has_link(f"{parent}.10")
    assert has_link(parent)


async def test_parents_that_are_not_there_are_refused_by_name(bench: Bench, parent: str) -> None:
    for name, says in (("nowhere", "example formatting is eth0.10"), ("nowhere.10", "failed to find master interface")):
        with pytest.raises(Fault, match=says):
            await bench.networks.create(NetworkWish("shared", driver="macvlan", options={"parent": name}))
    await shared(bench, "macvlan", subnet(), parent=parent)
    with pytest.raises(Fault, match=f"is already using parent interface {parent}"):
        await bench.networks.create(NetworkWish("again", driver="macvlan", options={"parent": parent}))


async def test_several_subnets_give_the_address_that_was_asked_for(bench: Bench, parent: str) -> None:
    first, second = subnet(), "10.95.7.0/24"
    wish = NetworkWish(
        "shared", driver="macvlan", pools=(PoolWish(first), PoolWish(second)), options={"parent": parent}
    )
    await bench.networks.create(wish)
    container = await bench.add("shared", ipv4="10.95.7.20")
    assert container.endpoints["shared"].address == IPv4Address("10.95.7.20")
    assert "10.95.7.20/24" in await bench.run(container, "ip", "address", "show", "eth0")


async def test_a_running_container_joins_and_leaves(bench: Bench, parent: str) -> None:
    await shared(bench, "macvlan", subnet(), parent=parent)
    container = await bench.add()
    await bench.networks.connect(container.container_id, "shared", EndpointWish(mac="02:00:00:00:00:09"))
    assert "02:00:00:00:00:09" in await bench.run(container, "ip", "link", "show", "eth1")
    await bench.networks.disconnect(container.container_id, "shared")
    assert "does not exist" in await bench.run(container, "ip", "link", "show", "eth1")
