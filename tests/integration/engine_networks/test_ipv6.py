"""Networks of both families: addresses, ways out, names, ports on [::] and ::1, isolation; as for IPv4."""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riad.engine.networks.create import NetworkWish
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import Attachment, EndpointWish, PortBinding
from riad.kernel.faults import Fault, Kind

if TYPE_CHECKING:
    from conftest import Bench, OpenBench

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path("/proc/sys/net/ipv6").exists(), reason="a kernel without IPv6"),
]


async def six(bench: Bench, name: str = "six", **more: object) -> None:
    await bench.networks.create(NetworkWish(name, ipv6=True, **more))  # type: ignore[arg-type]


async def test_neighbours_and_gateway_are_reached_by_ipv6_from_the_engines_own_prefix(bench: Bench) -> None:
    await six(bench)
    pool = bench.networks.get("six").pool6
    assert pool is not None and isinstance(pool.subnet, IPv6Network)
    assert pool.subnet.subnet_of(IPv6Network("fd00::/8")) and pool.subnet.prefixlen == 64
    first, second = await bench.add("six"), await bench.add("six")
    await bench.listen(second, 4000)
    mine, theirs = first.endpoints["six"].address6, second.endpoints["six"].address6
    assert mine is not None and theirs is not None
    assert await bench.ask(first, str(theirs), 4000) == str(mine)
    await bench.listen(None, 4976)
    assert await bench.ask(first, str(pool.gateway), 4976) == str(mine)
    assert f"default via {pool.gateway} dev eth0" in await bench.run(first, "ip", "-6", "route")
    assert str(mine) in bench.networks.hosts(first.container_id)


async def test_containers_of_networks_without_it_have_no_ipv6_addresses(bench: Bench) -> None:
    container = await bench.add()
    assert "inet6" not in await bench.run(container, "ip", "address", "show", "eth0")


async def test_a_published_port_answers_on_both_families_and_keeps_the_clients_address(bench: Bench) -> None:
    await six(bench)
    server, client = await bench.add("six", ports=(PortBinding(4000), PortBinding(4000, "udp"))), await bench.add("six")
    await bench.listen(server, 4000)
    tcp, tcp6, udp, udp6 = server.ports
    assert [port.host_ip for port in server.ports] == ["0.0.0.0", "::", "0.0.0.0", "::"]
    assert tcp.host_port == tcp6.host_port and udp.host_port == udp6.host_port
    gateway = bench.networks.get("six").pool6
    assert gateway is not None
    for host in ("127.0.0.1", "::1", str(gateway.gateway)):
        assert not (await bench.ask(None, host, tcp.host_port)).startswith("!"), host
        if host != "::1":
            assert not (await bench.ask(None, host, udp.host_port, kind="udp")).startswith("!"), host
    assert not (await bench.ask(client, str(gateway.gateway), tcp.host_port)).startswith("!")
    await six(bench, "other")
    stranger = await bench.add("other")
    assert await bench.ask(stranger, str(gateway.gateway), tcp.host_port) == str(stranger.endpoints["other"].address6)


async def test_a_port_published_on_one_ipv6_address_answers_only_there(bench: Bench) -> None:
    await six(bench)
    server = await bench.add("six", ports=(PortBinding(4000, host_ip="::1"),))
    await bench.listen(server, 4000)
    (port,) = server.ports
    assert not (await bench.ask(None, "::1", port.host_port)).startswith("!")
    assert (await bench.ask(None, "127.0.0.1", port.host_port)).startswith("!")
    gateway = bench.networks.get("six").pool6
    assert gateway is not None
    assert (await bench.ask(None, str(gateway.gateway), port.host_port)).startswith("!")


async def test_bridges_are_isolated_from_each_other_by_ipv6_too(bench: Bench) -> None:
    await six(bench, "one")
    await six(bench, "two")
    server, client = await bench.add("one"), await bench.add("two")
    await bench.listen(server, 4000)
    assert (await bench.ask(client, str(server.endpoints["one"].address6), 4000)).startswith("!")


async def test_names_have_both_addresses_and_are_found_backwards(bench: Bench) -> None:
    await six(bench)
    web, client = await bench.add("six", name="web"), await bench.add("six")
    gateway = bench.networks.get("six").pool
    assert gateway is not None
    server = str(gateway.gateway)
    assert await bench.lookup(client, server, "web") == str(web.endpoints["six"].address)
    assert await bench.lookup(client, server, "web", kind=28) == str(web.endpoints["six"].address6)


async def test_fixed_addresses_ranges_gateways_and_reserved_ones_are_kept(bench: Bench) -> None:
    wish = PoolWish("fdac:1::/64", ip_range="fdac:1::100/120", gateway="fdac:1::9", reserved={"x": "fdac:1::101"})
    await six(bench, pools=(wish,))
    first = await bench.add("six")
    assert str(first.endpoints["six"].address6) == "fdac:1::100"
    assert str((await bench.add("six")).endpoints["six"].address6) == "fdac:1::102"
    fixed = Attachment("ab" * 32, networks={"six": EndpointWish(ipv6="fdac:1::42")})
    assert str((await bench.networks.prepare(fixed)).endpoints["six"].address6) == "fdac:1::42"
    taken = Attachment("cd" * 32, networks={"six": EndpointWish(ipv6="fdac:1::42")})
    with pytest.raises(Fault, match="Address already in use"):
        await bench.networks.prepare(taken)


async def test_a_port_asked_for_on_ipv6_alone_needs_an_ipv6_address(bench: Bench) -> None:
    with pytest.raises(Fault, match="the container has no IPv6 address") as caught:
        await bench.add(ports=(PortBinding(80, host_ip="::"),))
    assert caught.value.kind is Kind.INVALID
    both = await bench.add(ports=(PortBinding(80, host_ip="0.0.0.0"), PortBinding(80, host_ip="::")))
    assert [port.host_ip for port in both.ports] == ["0.0.0.0"]


async def test_everything_is_found_again_after_a_restart(bench: Bench) -> None:
    await six(bench)
    server = await bench.add("six", ports=(PortBinding(4000),))
    await bench.listen(server, 4000)
    before = bench.networks.get("six")
    await bench.restart([server.container_id])
    assert bench.networks.get("six") == before
    assert bench.networks.inspect(server.container_id) == server
    assert not (await bench.ask(None, "::1", server.ports[0].host_port)).startswith("!")


async def test_the_default_bridge_has_ipv6_where_the_engine_is_told_so(open_bench: OpenBench) -> None:
    bench = open_bench("", ipv6=True)
    await bench.networks.recover(())
    container = await bench.add()
    assert container.endpoints["bridge"].address6 is not None


async def test_connecting_a_running_container_moves_its_ipv6_way_out(bench: Bench) -> None:
    container = await bench.add()
    await six(bench)
    await bench.networks.connect(container.container_id, "six", EndpointWish())
    gateway = bench.networks.get("six").pool6
    assert gateway is not None
    assert f"default via {gateway.gateway} dev eth1" in await bench.run(container, "ip", "-6", "route")
    await bench.networks.disconnect(container.container_id, "six")
    assert "default" not in await bench.run(container, "ip", "-6", "route")
