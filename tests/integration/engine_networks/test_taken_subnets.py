"""Engines that share a host never share a subnet: not when they choose at once, not when one comes back later."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from riad.engine.networks.create import NetworkWish
from riad.engine.networks.hostfacts import host_routes
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import EndpointWish
from riad.kernel.faults import Fault, Kind

if TYPE_CHECKING:
    from conftest import Bench, OpenBench

pytestmark = pytest.mark.root

Occupy = Callable[[IPv4Network], Awaitable[str]]


@pytest.fixture
async def occupy(bench: Bench) -> AsyncIterator[Occupy]:
    """Another program takes half of a subnet; says by which link."""
    made = []

    async def take(subnet: IPv4Network) -> str:
        link = f"tk{secrets.token_hex(4)}"
        made.append(link)
        half = list(subnet.subnets())[1]
        await bench.run(None, "ip", "link", "add", link, "type", "bridge")
        await bench.run(None, "ip", "address", "add", f"{half[1]}/{half.prefixlen}", "dev", link)
        assert await bench.run(None, "ip", "link", "set", link, "up") == ""
        return link

    yield take
    for link in made:
        await bench.run(None, "ip", "link", "delete", link)


def private_subnet() -> str:
    """One that no engine chooses by itself."""
    return f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(255)}.0/24"


def subnet_of(bench: Bench, network: str = "bridge") -> IPv4Network:
    pool = bench.networks.get(network).pool
    assert pool is not None
    return pool.subnet


def links_with(subnet: IPv4Network) -> list[str]:
    return [route.link for route in host_routes() if route.destination.overlaps(subnet)]


async def test_an_engine_that_comes_back_leaves_its_old_subnet_to_who_has_taken_it(open_bench: OpenBench) -> None:
    subnet = private_subnet()
    first, second = open_bench(subnet.replace(".0/24", ".1/24")), open_bench(subnet.replace(".0/24", ".1/24"))
    await first.networks.recover(())
    await first.networks.close()
    await second.networks.recover(())
    first.bip = ""  # from now on it is the engine's choice
    await first.restart([])
    assert not subnet_of(first).overlaps(subnet_of(second))
    assert links_with(subnet_of(first)) == [f"riad-{first.instance}"]
    assert links_with(subnet_of(second)) == [f"riad-{second.instance}"]
    moved = subnet_of(first)
    await first.networks.close()
    await first.restart([])
    assert subnet_of(first) == moved, "a subnet that is free is kept"


async def test_networks_with_a_chosen_subnet_move_and_resolve_names_again(bench: Bench, occupy: Occupy) -> None:
    await bench.networks.create(NetworkWish("mine"))
    dead = await bench.add("mine")
    for network in ("bridge", "mine"):
        await occupy(subnet_of(bench, network))
    before = {subnet_of(bench, "bridge"), subnet_of(bench, "mine")}
    await bench.restart([])
    assert before.isdisjoint({subnet_of(bench, "bridge"), subnet_of(bench, "mine")})
    assert bench.networks.inspect(dead.container_id) is None
    assert links_with(subnet_of(bench, "mine")) == [bench.networks.get("mine").bridge]
    server, client = await bench.add("mine", name="web"), await bench.add("mine")
    gateway = str(subnet_of(bench, "mine")[1])
    assert f"nameserver {gateway}" in bench.networks.resolv_conf(client.container_id)
    assert await bench.lookup(client, gateway, "web") == str(server.endpoints["mine"].address)


async def test_a_network_with_live_containers_is_kept_and_the_administrator_told(bench: Bench, occupy: Occupy) -> None:
    await bench.networks.create(NetworkWish("mine"))
    live = await bench.add("bridge", "mine")
    taken = [await occupy(subnet_of(bench, network)) for network in ("bridge", "mine")]
    await bench.restart([live.container_id])
    assert bench.networks.inspect(live.container_id) == live
    told = bench.networks.warnings
    for link in taken:
        assert any(f"by the link {link}" in line and "stop its containers" in line for line in told)


async def test_the_default_bridge_stays_where_bip_says(open_bench: OpenBench, occupy: Occupy) -> None:
    bip = private_subnet().replace(".0/24", ".1/24")
    bench = open_bench(bip)
    await bench.networks.recover(())
    link = await occupy(subnet_of(bench))
    await bench.restart([])
    assert subnet_of(bench) == IPv4Network(bip, strict=False)
    assert any(f"by the link {link}" in line and "choose another --bip" in line for line in bench.networks.warnings)


async def test_a_users_subnet_that_is_taken_stops_that_network_only_and_until_it_is_free(
    bench: Bench, open_bench: OpenBench
) -> None:
    subnet = private_subnet()
    network = await bench.networks.create(NetworkWish("mine", pools=(PoolWish(subnet=subnet),)))
    await bench.networks.create(NetworkWish("other"))
    await bench.networks.close()
    taker = open_bench(subnet.replace(".0/24", ".1/24"))
    await taker.networks.recover(())
    await bench.restart([])
    assert links_with(IPv4Network(subnet)) == [f"riad-{taker.instance}"]
    expected = f"network mine \\({subnet}\\) cannot be brought up: .* by the link riad-{taker.instance}"
    with pytest.raises(Fault, match=expected) as caught:
        await bench.add("mine")
    assert caught.value.kind is Kind.CONFLICT
    assert caught.value.message in bench.networks.warnings
    sandbox = await bench.add("other")
    with pytest.raises(Fault, match=expected):
        await bench.networks.connect(sandbox.container_id, "mine", EndpointWish())
    await taker.networks.close()
    server, client = await bench.add("mine", name="web"), await bench.add("mine")
    assert links_with(IPv4Network(subnet)) == [network.bridge]
    assert bench.networks.warnings == ()
    assert await bench.lookup(client, subnet.replace(".0/24", ".1"), "web") == str(server.endpoints["mine"].address)


async def test_a_network_that_waits_for_its_subnet_can_be_removed(bench: Bench, open_bench: OpenBench) -> None:
    subnet = private_subnet()
    await bench.networks.create(NetworkWish("mine", pools=(PoolWish(subnet=subnet),)))
    await bench.networks.close()
    taker = open_bench(subnet.replace(".0/24", ".1/24"))
    await taker.networks.recover(())
    await bench.restart([])
    await bench.networks.remove("mine")
    assert bench.networks.warnings == ()
    await bench.networks.create(NetworkWish("mine"))
    await bench.add("mine")


async def test_a_bridge_name_that_another_engine_took_stops_that_network_only(
    bench: Bench, open_bench: OpenBench
) -> None:
    name = f"tk{secrets.token_hex(4)}"
    wish = NetworkWish("named", options={"com.docker.network.bridge.name": name})
    await bench.networks.create(wish)
    await bench.networks.close()
    other = open_bench("")
    await other.networks.recover(())
    await other.networks.create(wish)
    await bench.restart([])
    with pytest.raises(Fault, match=f"the link {name} exists and is not ours"):
        await bench.add("named")
    await bench.add()


async def test_a_bridge_that_a_killed_engine_had_not_marked_yet_is_taken_up(bench: Bench) -> None:
    await bench.run(None, "ip", "link", "set", f"riad-{bench.instance}", "alias", "")
    await bench.run(None, "ip", "address", "flush", "dev", f"riad-{bench.instance}")
    await bench.restart([])
    await bench.add()


async def test_engines_that_choose_at_once_choose_different_subnets(open_bench: OpenBench) -> None:
    benches = [open_bench("") for _ in range(4)]
    await asyncio.gather(*(each.networks.recover(()) for each in benches))
    await asyncio.gather(*(each.networks.create(NetworkWish(name)) for each in benches for name in ("one", "two")))
    subnets = [subnet_of(each, name) for each in benches for name in ("bridge", "one", "two")]
    assert len(set(subnets)) == 12
    assert all(len(links_with(subnet)) == 1 for subnet in subnets)


async def test_a_name_that_two_ask_for_at_once_is_given_once(bench: Bench) -> None:
    wishes = [bench.networks.create(NetworkWish("same")) for _ in range(2)]
    made = await asyncio.gather(*wishes, return_exceptions=True)
    (refused,) = [each for each in made if isinstance(each, Fault)]
    assert refused.kind is Kind.CONFLICT
