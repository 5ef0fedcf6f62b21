"""Run by `test_own_host` in a network namespace of its own, which stands for a host with a firewall of its own."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riad.engine.host import netns
from riad.engine.networks.create import NetworkWish
from riad.engine.networks.model import PortBinding, Sandbox

if TYPE_CHECKING:
    from conftest import Bench, Eventually

HOST, OUTSIDE = "10.77.0.1", "10.77.0.2"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def nft(commands: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=commands.encode(), check=True)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """A neighbour on the network around the host."""
    path: Path = tmp_path_factory.mktemp("netns") / "outside"
    netns.create(path).close()
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "peer0")
    run("ip", "address", "add", f"{HOST}/24", "dev", "up0")
    run("ip", "link", "set", "up0", "up")
    run("ip", "link", "set", "peer0", "netns", str(path))
    for command in (f"address add {OUTSIDE}/24 dev peer0", "link set peer0 up", f"route add default via {HOST}"):
        run("nsenter", f"--net={path}", "ip", *command.split())
    run("ip", "route", "add", "default", "via", OUTSIDE)
    yield Sandbox("outside", path, {}, ())
    netns.remove(path)


@pytest.fixture(autouse=True)
def no_rules(outside: Sandbox) -> None:
    run("nft", "flush", "ruleset")


async def served(bench: Bench, *networks: str) -> tuple[Sandbox, int]:
    server = await bench.add(*networks, ports=(PortBinding(4000), PortBinding(4000, "udp")))
    await bench.listen(server, 4000)
    return server, server.ports[0].host_port


async def test_a_port_is_reached_from_outside_and_the_container_sees_who_asks(bench: Bench, outside: Sandbox) -> None:
    server, port = await served(bench)
    assert await bench.ask(outside, HOST, port) == OUTSIDE
    assert await bench.ask(outside, HOST, server.ports[1].host_port, kind="udp") == OUTSIDE


async def test_what_the_hosts_input_rules_drop_is_not_published_to_the_world(
    bench: Bench, outside: Sandbox, eventually: Eventually
) -> None:
    nft("""table inet own { chain input { type filter hook input priority 0; policy drop;
        ct state established,related accept; iifname lo accept; iifname "riad-*" accept; iifname "br-*" accept;
        tcp dport 22 accept; }; }""")
    await bench.networks._gate.refresh()
    server, port = await served(bench)
    assert (await bench.ask(outside, HOST, port)).startswith("!")
    assert (await bench.ask(outside, HOST, server.ports[1].host_port, kind="udp")).startswith("!")
    assert not (await bench.ask(None, "127.0.0.1", port)).startswith("!")
    assert not (await bench.ask(await bench.add(), HOST, port)).startswith("!")
    nft(f"add rule inet own input tcp dport {port} accept")

    async def reached() -> bool:
        return await bench.ask(outside, HOST, port) == OUTSIDE

    await eventually(reached)
    assert (await bench.ask(outside, HOST, server.ports[1].host_port, kind="udp")).startswith("!")


async def test_a_firewall_that_comes_later_is_obeyed_too(
    bench: Bench, outside: Sandbox, eventually: Eventually
) -> None:
    _, port = await served(bench)
    assert await bench.ask(outside, HOST, port) == OUTSIDE
    nft("table inet own { chain input { type filter hook input priority 0; policy drop; iifname lo accept; }; }")

    async def refused() -> bool:
        return (await bench.ask(outside, HOST, port)).startswith("!")

    await eventually(refused)


async def test_what_the_hosts_forward_rules_drop_stays_dropped(bench: Bench, outside: Sandbox) -> None:
    nft("table inet own { chain forward { type filter hook forward priority 0; policy drop; }; }")
    _, port = await served(bench)
    assert (await bench.ask(outside, HOST, port)).startswith("!")
    assert not (await bench.ask(None, "127.0.0.1", port)).startswith("!")
    await bench.networks._rules_changed()
    assert any("inet own forward" in warning for warning in bench.networks.warnings)


async def test_beside_dockerd_containers_reach_the_world_and_the_world_their_ports(
    bench: Bench, outside: Sandbox, eventually: Eventually
) -> None:
    server, port = await served(bench)
    for command in ("-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j RETURN"):
        run("iptables", *command.split())

    async def reached() -> bool:
        return await bench.ask(outside, HOST, port) == OUTSIDE

    await eventually(reached)
    await bench.listen(outside, 4001)
    assert await bench.ask(server, OUTSIDE, 4001) == HOST
    await bench.networks.create(NetworkWish("later"))
    assert await bench.ask(await bench.add("later"), OUTSIDE, 4001) == HOST
    listed = await bench.run(None, "iptables", "-S", "DOCKER-USER")
    assert listed.splitlines()[-1] == "-A DOCKER-USER -j RETURN"
    run("iptables", "-I", "DOCKER-USER", "-s", OUTSIDE, "-j", "DROP")
    assert (await bench.ask(outside, HOST, port)).startswith("!"), "the administrator's own rule comes first"
    await bench.networks.teardown()
    assert "riad" not in await bench.run(None, "iptables", "-S")


async def test_rules_that_a_firewalls_reload_has_flushed_come_back_by_themselves(
    bench: Bench, outside: Sandbox, eventually: Eventually
) -> None:
    _, port = await served(bench)
    run("nft", "flush", "ruleset")

    async def reached() -> bool:
        return await bench.ask(outside, HOST, port) == OUTSIDE

    await eventually(reached)


async def test_a_network_that_nobody_uses_makes_way_for_a_vpns_route(
    bench: Bench, outside: Sandbox, eventually: Eventually
) -> None:
    network = await bench.networks.create(NetworkWish("idle"))
    used = await bench.networks.create(NetworkWish("used"))
    await bench.add("used")
    assert network.pool is not None and used.pool is not None
    for pool in (network.pool, used.pool):
        run("ip", "route", "add", str(pool.subnet.network_address), "via", OUTSIDE)

    async def moved() -> bool:
        return bench.networks.get("idle").pool != network.pool

    await eventually(moved)
    assert bench.networks.get("used").pool == used.pool
    assert any("network used" in warning and "collides" in warning for warning in bench.networks.warnings)
    first, second = await bench.add("idle", name="a"), await bench.add("idle")
    await bench.listen(first, 4002)
    assert not (await bench.ask(second, str(first.endpoints["idle"].address), 4002)).startswith("!")
