"""Real bridges, pairs, rules and names: who reaches whom, and what is left after release, restart and teardown."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from riad.engine.host.netlink import Netlink
from riad.engine.networks.create import NetworkWish
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import Attachment, EndpointWish, NameWishes, PortBinding
from riad.kernel.faults import Fault, Kind

if TYPE_CHECKING:
    from conftest import Bench, Eventually

pytestmark = pytest.mark.root


def address_of_host() -> str:
    with Netlink() as host:
        out = next(route.link for route in host.routes() if route.destination is None)
        return next(str(address.ip) for index, address in host.addresses() if index == out)


def links(bench: Bench) -> list[str]:
    with Netlink() as host:
        return [
            link.name
            for link in host.links()
            if link.name.startswith(f"rv{bench.instance[:6]}") or link.alias.startswith(f"riad {bench.instance}")
        ]


async def table(bench: Bench) -> str:
    return await bench.run(None, "nft", "list", "table", "inet", f"riad_{bench.instance}")


async def test_a_container_reaches_its_gateway_and_its_neighbour(bench: Bench) -> None:
    first, second = await bench.add(), await bench.add()
    await bench.listen(second, 4000)
    address = second.endpoints["bridge"].address
    assert await bench.ask(first, str(address), 4000) == str(first.endpoints["bridge"].address)


async def test_a_published_port_answers_on_every_address_of_the_host_and_to_the_container_itself(bench: Bench) -> None:
    server = await bench.add(ports=(PortBinding(4000), PortBinding(4000, "udp")))
    await bench.listen(server, 4000)
    (tcp, udp) = server.ports
    assert tcp.host_port >= 32768
    client, gateway = await bench.add(), bench.networks.get("bridge").pool
    assert gateway is not None
    for host in ("127.0.0.1", address_of_host(), str(gateway.gateway)):
        assert not (await bench.ask(None, host, tcp.host_port)).startswith("!")
        assert not (await bench.ask(None, host, udp.host_port, kind="udp")).startswith("!")
    for asker in (client, server):
        assert not (await bench.ask(asker, address_of_host(), tcp.host_port)).startswith("!")


async def test_a_port_published_on_loopback_answers_only_there(bench: Bench) -> None:
    server = await bench.add(ports=(PortBinding(4000, host_ip="127.0.0.1"),))
    await bench.listen(server, 4000)
    port = server.ports[0].host_port
    assert not (await bench.ask(None, "127.0.0.1", port)).startswith("!")
    assert (await bench.ask(None, address_of_host(), port)).startswith("!")


async def test_a_container_never_reaches_the_hosts_loopback(bench: Bench) -> None:
    container, pool = await bench.add(), bench.networks.get("bridge").pool
    assert pool is not None
    # what root in a container with NET_ADMIN could do
    await bench.run(container, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet")
    await bench.run(container, "ip", "address", "flush", "dev", "lo")
    await bench.run(container, "ip", "route", "add", "127.0.0.1/32", "via", str(pool.gateway))
    await bench.listen(None, 4978)
    assert (await bench.ask(container, "127.0.0.1", 4978)).startswith("!")
    await bench.run(None, "nft", "flush", "chain", "inet", f"riad_{bench.instance}", "guard")
    assert not (await bench.ask(container, "127.0.0.1", 4978)).startswith("!"), "the guard was not what kept it out"


async def test_bridges_are_isolated_from_each_other_but_published_ports_are_open_to_all(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("one"))
    await bench.networks.create(NetworkWish("two"))
    server, client = await bench.add("one", ports=(PortBinding(4000),)), await bench.add("two")
    await bench.listen(server, 4000)
    assert (await bench.ask(client, str(server.endpoints["one"].address), 4000)).startswith("!")
    assert await bench.ask(client, address_of_host(), server.ports[0].host_port) == str(client.endpoints["two"].address)


async def test_an_internal_network_has_no_way_out_and_publishes_nothing(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("inner", internal=True))
    server, client = await bench.add("inner", ports=(PortBinding(4000),)), await bench.add("inner")
    await bench.listen(server, 4000)
    assert server.ports == ()
    assert "default" not in await bench.run(server, "ip", "route")
    assert not (await bench.ask(client, str(server.endpoints["inner"].address), 4000)).startswith("!")


async def test_containers_without_icc_reach_the_gateway_but_not_each_other(bench: Bench) -> None:
    wish = NetworkWish("apart", options={"com.docker.network.bridge.enable_icc": "false"})
    network = await bench.networks.create(wish)
    server, client = await bench.add("apart"), await bench.add("apart")
    await bench.listen(server, 4000)
    assert (await bench.ask(client, str(server.endpoints["apart"].address), 4000)).startswith("!")
    assert network.pool is not None
    await bench.listen(None, 4977)
    assert not (await bench.ask(client, str(network.pool.gateway), 4977)).startswith("!")


async def test_a_taken_port_is_refused_in_dockers_words_and_nothing_stays(bench: Bench) -> None:
    first = await bench.add(ports=(PortBinding(80),))
    port = first.ports[0].host_port
    for host_ip in ("", "127.0.0.1"):
        with pytest.raises(Fault, match="driver failed programming external connectivity on endpoint web") as caught:
            await bench.add(name="web", ports=(PortBinding(80, host_port=port, host_ip=host_ip),))
        assert f"Bind for {host_ip or '0.0.0.0'}:{port} failed: port is already allocated" in caught.value.message
        assert caught.value.kind is Kind.INTERNAL
    assert len(bench.networks.endpoints_in(bench.networks.get("bridge"))) == 1


async def test_a_port_that_another_program_listens_on_is_refused(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Fault, match=f"Bind for 0.0.0.0:{port} failed: port is already allocated"):
            await bench.add(ports=(PortBinding(80, host_port=port),))
    await bench.add(ports=(PortBinding(80, host_port=port),))


def two_free_ports() -> int:
    """The first of them; below those that anyone is given unasked."""
    while True:
        first = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError), socket.create_server(("", first)), socket.create_server(("", first + 1)):
            return first


async def test_a_range_gives_its_first_free_port_until_none_is_left(bench: Bench) -> None:
    start = two_free_ports()
    wish = PortBinding(80, host_port=start, host_port_end=start + 1)
    assert (await bench.add(ports=(wish,))).ports[0].host_port == start
    assert (await bench.add(ports=(wish,))).ports[0].host_port == start + 1
    with pytest.raises(Fault, match=f"Bind for 0.0.0.0:{start}-{start + 1} failed"):
        await bench.add(ports=(wish,))


async def test_release_takes_everything_back_and_may_be_repeated(bench: Bench, eventually: Eventually) -> None:
    sandbox = await bench.add(ports=(PortBinding(80),))
    port, netns = sandbox.ports[0].host_port, sandbox.netns
    assert netns is not None and netns.exists()
    for _ in range(2):
        await bench.networks.release(sandbox.container_id)
    assert not netns.exists()
    assert bench.networks.inspect(sandbox.container_id) is None
    assert str(port) not in await table(bench)
    socket.create_server(("127.0.0.1", port)).close()

    async def only_the_bridge() -> bool:
        return links(bench) == [f"riad-{bench.instance}"]

    await eventually(only_the_bridge)


async def test_live_containers_are_kept_and_dead_ones_released_when_the_daemon_was_killed(
    bench: Bench, eventually: Eventually
) -> None:
    await bench.networks.create(NetworkWish("mine"))
    live = await bench.add("mine", name="live", ports=(PortBinding(4000),))
    dead = await bench.add("mine", name="dead", ports=(PortBinding(4000),))
    await bench.listen(live, 4000)
    await bench.run(None, "nft", "flush", "table", "inet", f"riad_{bench.instance}")
    await bench.restart([live.container_id])
    kept = bench.networks.inspect(live.container_id)
    assert kept == live
    assert bench.networks.inspect(dead.container_id) is None
    assert not (await bench.ask(None, "127.0.0.1", live.ports[0].host_port)).startswith("!")
    assert str(dead.ports[0].host_port) not in await table(bench)
    assert dead.netns is not None and not dead.netns.exists()
    # the port is held against others again
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", live.ports[0].host_port))
    assert len(links(bench)) == 3  # two bridges, one pair


async def test_a_flushed_ruleset_is_put_back_by_the_next_change(bench: Bench) -> None:
    first = await bench.add(ports=(PortBinding(4000),))
    await bench.run(None, "nft", "delete", "table", "inet", f"riad_{bench.instance}")
    second = await bench.add(ports=(PortBinding(4000),))
    listed = await table(bench)
    assert str(first.ports[0].host_port) in listed
    assert str(second.ports[0].host_port) in listed


async def test_closing_without_containers_leaves_nothing_in_the_kernel(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("mine"))
    sandbox = await bench.add("mine")
    await bench.networks.release(sandbox.container_id)
    await bench.networks.close()
    assert links(bench) == []
    assert "No such file" in await table(bench)
    await bench.restart([])
    assert sorted(network.name for network in bench.networks.all()) == ["bridge", "host", "mine", "none"]


async def test_connecting_and_disconnecting_while_running_moves_the_way_out(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("alpha"))
    sandbox = await bench.add(ports=(PortBinding(4000),))
    await bench.listen(sandbox, 4000)
    endpoint = await bench.networks.connect(sandbox.container_id, "alpha", EndpointWish(("nick",)))
    alpha, bridge = bench.networks.get("alpha").pool, bench.networks.get("bridge").pool
    assert alpha is not None and bridge is not None
    assert endpoint.guest_link == "eth1"
    assert f"default via {alpha.gateway} dev eth1" in await bench.run(sandbox, "ip", "route")
    assert not (await bench.ask(None, "127.0.0.1", sandbox.ports[0].host_port)).startswith("!")
    with pytest.raises(Fault, match="already exists in network alpha") as caught:
        await bench.networks.connect(sandbox.container_id, "alpha", EndpointWish())
    assert caught.value.kind is Kind.DENIED
    await bench.networks.disconnect(sandbox.container_id, "alpha")
    assert f"default via {bridge.gateway} dev eth0" in await bench.run(sandbox, "ip", "route")
    assert not (await bench.ask(None, "127.0.0.1", sandbox.ports[0].host_port)).startswith("!")
    assert bench.happened[-2:] == [("connect", "alpha"), ("disconnect", "alpha")]


async def test_a_network_with_containers_is_not_removed(bench: Bench) -> None:
    network = await bench.networks.create(NetworkWish("mine"))
    sandbox = await bench.add("mine")
    with pytest.raises(Fault, match=f"network mine id {network.id} has active endpoints") as caught:
        await bench.networks.remove("mine")
    assert caught.value.kind is Kind.DENIED
    await bench.networks.release(sandbox.container_id)
    await bench.networks.remove("mine")
    assert network.bridge not in links(bench)


async def test_names_and_subnets_are_given_once(bench: Bench) -> None:
    network = await bench.networks.create(NetworkWish("mine"))
    with pytest.raises(Fault, match="network with name mine already exists") as caught:
        await bench.networks.create(NetworkWish("mine"))
    assert caught.value.kind is Kind.CONFLICT
    assert network.pool is not None
    with pytest.raises(Fault, match="Pool overlaps with other one on this address space"):
        await bench.networks.create(NetworkWish("other", pools=(PoolWish(subnet=str(network.pool.subnet)),)))


async def test_fixed_addresses_are_given_and_refused(bench: Bench) -> None:
    subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(255)}.0/24"
    await bench.networks.create(NetworkWish("fixed", pools=(PoolWish(subnet=subnet),)))
    wanted = subnet.replace(".0/24", ".77")
    sandbox = await bench.add("fixed", ipv4=wanted)
    assert str(sandbox.endpoints["fixed"].address) == wanted
    with pytest.raises(Fault, match="Address already in use"):
        await bench.add("fixed", ipv4=wanted)


async def test_containers_find_each_other_by_name_alias_and_id_and_survive_a_restart(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("mine"))
    server = await bench.add("mine", name="web", aliases=("service", "with.dot"))
    client = await bench.add("mine", name="client")
    gateway = bench.networks.get("mine").pool
    assert gateway is not None
    assert f"nameserver {gateway.gateway}" in bench.networks.resolv_conf(client.container_id)
    await bench.restart([server.container_id, client.container_id])
    expected = str(server.endpoints["mine"].address)
    for name in ("web", "WEB", "service", "with.dot", server.container_id[:12], "web.mine"):
        assert await bench.lookup(client, str(gateway.gateway), name) == expected, name
    assert await bench.lookup(client, str(gateway.gateway), "web", tcp=True) == expected
    bench.networks.rename(server.container_id, "renamed")
    assert await bench.lookup(client, str(gateway.gateway), "renamed") == expected


async def test_other_names_are_asked_of_the_containers_own_servers(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("mine"))
    gateway = bench.networks.get("mine").pool
    assert gateway is not None
    outside = await bench.add("mine", names=NameWishes(servers=("127.0.0.1",)))
    # nobody listens there: the answer is a failure, at once, not silence
    assert await bench.lookup(outside, str(gateway.gateway), "example.org") == "code 2"


_IP_FREEBIND = 15  # linux/in.h


async def test_names_are_answered_where_the_host_has_port_53_itself(bench: Bench) -> None:
    net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(255)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # an address that the host has as soon as the network is
        taken.bind((f"{net}.1", 53))
        await bench.networks.create(NetworkWish("mine", pools=(PoolWish(subnet=f"{net}.0/24"),)))
        sandbox = await bench.add("mine", name="web")
        address = str(sandbox.endpoints["mine"].address)
        assert await bench.lookup(sandbox, f"{net}.1", "web") == address
        assert await bench.lookup(sandbox, f"{net}.1", "web", tcp=True) == address


async def test_the_hosts_network_needs_no_namespace(bench: Bench) -> None:
    sandbox = await bench.networks.prepare(Attachment(secrets.token_hex(32), "h", "h", "", {"host": EndpointWish()}))
    assert sandbox.netns is None
    assert sandbox.endpoints == {}


async def test_no_network_is_a_namespace_with_a_loopback(bench: Bench) -> None:
    sandbox = await bench.networks.prepare(Attachment(secrets.token_hex(32), "n", "n", "", {"none": EndpointWish()}))
    assert (await bench.run(sandbox, "ip", "-br", "link")).split()[0] == "lo"


async def test_what_strangers_left_under_our_name_is_swept_at_start(bench: Bench, tmp_path: Path) -> None:
    await bench.run(None, "ip", "link", "add", f"rv{bench.instance[:6]}ff", "type", "veth", "peer", "name", "rvgone")
    (tmp_path / "run" / "netns").mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / "netns" / "stale").touch()
    await bench.restart([])
    assert links(bench) == [f"riad-{bench.instance}"]
    assert list((tmp_path / "run" / "netns").iterdir()) == []


async def test_a_client_that_goes_on_sending_by_udp_reaches_the_next_container(
    bench: Bench, eventually: Eventually
) -> None:
    """Its connection entry is still that of the container before."""
    wish = PortBinding(4000, "udp", host_port=free_udp_port())
    first = await bench.add(ports=(wish,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", wish.host_port))
        client.send(b"x")
        with pytest.raises(ConnectionRefusedError):  # nobody listens in there
            client.recv(100)
        await bench.networks.release(first.container_id)
        await bench.listen(await bench.add(ports=(wish,)), 4000)

        async def answered() -> bool:
            with suppress(ConnectionRefusedError):  # it is about to listen
                client.send(b"x")
                return bool(client.recv(100))
            return False

        await eventually(answered)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


async def test_dockers_address_of_the_resolver_answers_on_networks_with_names(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("one"))
    web, client = await bench.add("one", name="web"), await bench.add("one")
    address = str(web.endpoints["one"].address)
    for tcp in (False, True):
        assert await bench.lookup(client, "127.0.0.11", "web", tcp=tcp) == address
    await bench.restart([web.container_id, client.container_id])
    assert await bench.lookup(client, "127.0.0.11", "web") == address
    plain = await bench.add(name="plain")
    await bench.networks.connect(plain.container_id, "one", EndpointWish())
    assert await bench.lookup(plain, "127.0.0.11", "web") == address
    await bench.networks.disconnect(plain.container_id, "one")
    assert "127.0.0.11" not in await bench.run(plain, "nft", "list", "ruleset")


async def test_a_containers_own_loopback_stays_out_of_its_neighbours_reach(bench: Bench) -> None:
    await bench.networks.create(NetworkWish("one"))
    victim, attacker = await bench.add("one"), await bench.add("one")
    await bench.listen(victim, 4979)
    await bench.run(attacker, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet")
    await bench.run(attacker, "ip", "address", "flush", "dev", "lo")
    await bench.run(attacker, "ip", "route", "add", "127.0.0.1/32", "via", str(victim.endpoints["one"].address))
    assert (await bench.ask(attacker, "127.0.0.1", 4979)).startswith("!")
    await bench.run(None, "nft", "flush", "chain", "inet", f"riad_{bench.instance}", "guard")  # sees bridged ones, too
    if Path("/proc/sys/net/bridge").exists():
        assert (await bench.ask(attacker, "127.0.0.1", 4979)).startswith("!")
    await bench.run(victim, "nft", "flush", "chain", "ip", "riad_names", "guard")
    assert not (await bench.ask(attacker, "127.0.0.1", 4979)).startswith("!"), "the guard was not what kept it out"
