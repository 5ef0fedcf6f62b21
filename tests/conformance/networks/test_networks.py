"""`docker network`, `-p`, names: what the stock CLI asks of networks."""

from __future__ import annotations

import json
import secrets
import urllib.request

import pytest

from engine_fixture import BASE, RunningEngine, wait_until
from ports import free_port

pytestmark = pytest.mark.root

WITH_PYTHON = ("-v", "/usr:/usr:ro")
"""The host's programs in the container: the base image has no server."""
SERVE = (BASE, "python3", "-m", "http.server", "8000", "--directory", "/etc")


def get(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/hostname", timeout=3) as answer:
            return bool(answer.read())
    except OSError:
        return False


def served(address: str) -> None:
    wait_until(lambda: get(address), what=f"{address} did not answer")


def fetch(engine: RunningEngine, container: str, url: str) -> bool:
    code = f"import urllib.request as u; u.urlopen('http://{url}/hostname', timeout=3).read()"
    return engine.docker("exec", container, "python3", "-c", code, check=False).code == 0


def free_network() -> str:
    """The first three numbers of a network that the host has no route to, most likely."""
    return f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}"


def test_a_network_is_made_listed_inspected_and_removed(engine: RunningEngine) -> None:
    net = free_network()
    made = engine.out(
        "network", "create", "--label", "team=a", "--subnet", f"{net}.0/24", "--gateway", f"{net}.9", "n1"
    )
    assert len(made) == 64
    assert engine.out(
        "network", "ls", "--filter", "name=n1", "--format", "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}}"
    ) == (f"{made[:12]} n1 bridge local")
    (shape,) = json.loads(engine.out("network", "inspect", "n1"))
    assert shape["IPAM"]["Config"] == [{"Subnet": f"{net}.0/24", "Gateway": f"{net}.9"}]
    assert shape["Labels"] == {"team": "a"}
    assert shape["Containers"] == {}
    assert engine.out("network", "rm", made[:8]) == made[:8]
    said = engine.docker("network", "inspect", "n1", check=False)
    assert said.code == 1
    assert said.err in ("Error response from daemon: network n1 not found\n", "Error: No such network: n1\n")


def test_the_three_networks_that_always_are(engine: RunningEngine) -> None:
    listed = engine.out("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines()
    assert sorted(listed) == ["bridge bridge", "host host", "none null"]
    assert engine.out("network", "ls", "-q", "--filter", "type=custom") == ""
    said = engine.docker("network", "rm", "bridge", check=False)
    assert "bridge is a pre-defined network and cannot be removed" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("host",), "operation is not permitted on predefined host network"),
        (("--driver", "overlay", "n"), "This node is not a swarm manager."),
        (("--driver", "nothing", "n"), 'plugin "nothing" not found'),
        (("--driver", "host", "n"), 'only one instance of "host" network is allowed'),
        (("--ipam-driver", "dhcp", "n"), "IPAM driver 'dhcp'"),
        (("--subnet", "10.1.2.3/24", "n"), "it should be 10.1.2.0/24"),
    ],
)
def test_networks_that_cannot_be_are_refused_by_name(
    engine: RunningEngine, arguments: tuple[str, ...], sentence: str
) -> None:
    said = engine.docker("network", "create", *arguments, check=False)
    assert said.code == 1
    assert sentence in said.err


def test_a_taken_name_is_a_conflict(engine: RunningEngine) -> None:
    engine.docker("network", "create", "twice")
    said = engine.docker("network", "create", "twice", check=False)
    assert said.err == "Error response from daemon: network with name twice already exists\n"


def test_containers_find_each_other_by_name_and_alias(engine: RunningEngine) -> None:
    engine.docker("network", "create", "n1")
    engine.docker("run", "-d", "--name", "web", "--network", "n1", "--network-alias", "site", *WITH_PYTHON, *SERVE)
    engine.docker("run", "-d", "--name", "client", "--network", "n1", *WITH_PYTHON, BASE, "sleep", "1000")
    address = engine.out("inspect", "-f", "{{.NetworkSettings.Networks.n1.IPAddress}}", "web")
    for name in ("web", "site", "web.n1"):
        assert engine.out("exec", "client", "getent", "hosts", name).split()[0] == address
        wait_until(lambda name=name: fetch(engine, "client", f"{name}:8000"))
    assert engine.docker("exec", "client", "getent", "hosts", "nobody", check=False).code == 2
    containers = json.loads(engine.out("network", "inspect", "-f", "{{json .Containers}}", "n1"))
    assert sorted(each["Name"] for each in containers.values()) == ["client", "web"]
    said = engine.docker("network", "rm", "n1", check=False)
    assert "has active endpoints" in said.err


def test_a_published_port_answers_and_is_shown(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "web", "-p", "8000", "-p", "127.0.0.1::8000/udp", *WITH_PYTHON, *SERVE)
    port = engine.out("port", "web", "8000/tcp").splitlines()[0].rpartition(":")[2]
    served(f"localhost:{port}")
    assert engine.out("port", "web", "8000/udp").startswith("127.0.0.1:")
    assert f"0.0.0.0:{port}->8000/tcp" in engine.out("ps", "--format", "{{.Ports}}")


def test_a_taken_port_fails_the_start_with_dockers_sentence(engine: RunningEngine) -> None:
    port = free_port()
    engine.docker("run", "-d", "--name", "first", "-p", f"{port}:80", BASE, "sleep", "1000")
    said = engine.docker("run", "-d", "--name", "second", "-p", f"{port}:80", BASE, "sleep", "1000", check=False)
    assert said.code == 125
    assert "driver failed programming external connectivity on endpoint second" in said.err
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated" in said.err
    engine.docker("rm", "-f", "first")
    engine.docker("start", "second")


def test_ports_answer_while_the_daemon_is_dead_and_names_come_back_with_it(engine: RunningEngine) -> None:
    engine.docker("network", "create", "n1")
    port = free_port()
    engine.docker("run", "-d", "--name", "web", "--network", "n1", "-p", f"{port}:8000", *WITH_PYTHON, *SERVE)
    engine.docker("run", "-d", "--name", "client", "--network", "n1", *WITH_PYTHON, BASE, "sleep", "1000")
    served(f"localhost:{port}")
    engine.kill()
    assert get(f"localhost:{port}")
    engine.start()
    assert get(f"localhost:{port}")
    assert fetch(engine, "client", "web:8000")
    engine.docker("rm", "-f", "web")
    assert not get(f"localhost:{port}")


def test_connect_and_disconnect_a_running_container(engine: RunningEngine) -> None:
    for name in ("n1", "n2"):
        engine.docker("network", "create", name)
    engine.docker("run", "-d", "--name", "web", "--network", "n1", *WITH_PYTHON, *SERVE)
    engine.docker("run", "-d", "--name", "client", "--network", "n2", *WITH_PYTHON, BASE, "sleep", "1000")
    assert not fetch(engine, "client", "web:8000")
    engine.docker("network", "connect", "--alias", "nick", "n2", "web")
    wait_until(lambda: fetch(engine, "client", "nick:8000"))
    said = engine.docker("network", "connect", "n2", "web", check=False)
    assert "endpoint with name web already exists in network n2" in said.err
    engine.docker("network", "disconnect", "n2", "web")
    assert not fetch(engine, "client", "nick:8000")
    said = engine.docker("network", "disconnect", "n2", "web", check=False)
    assert "is not connected to network n2" in said.err


def test_a_resting_container_is_connected_from_its_next_start(engine: RunningEngine) -> None:
    engine.docker("network", "create", "n1")
    engine.docker("create", "--name", "c1", BASE, "sleep", "1000")
    engine.docker("network", "connect", "n1", "c1")
    engine.docker("start", "c1")
    networks = json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks}}", "c1"))
    assert sorted(networks) == ["bridge", "n1"]
    assert all(network["IPAddress"] for network in networks.values())


def test_addresses_names_and_hosts_as_asked(engine: RunningEngine) -> None:
    net = free_network()
    engine.docker("network", "create", "--subnet", f"{net}.0/24", "n1")
    said = engine.out(
        "run", "--rm", "--network", "n1", "--ip", f"{net}.55", "--mac-address", "02:00:00:00:00:77", "--add-host",
        "db:10.0.0.9", "--add-host", "up:host-gateway", "--dns-search", "corp.example", "--hostname", "me", BASE,
        "cat", "/etc/hosts", "/etc/resolv.conf", "/sys/class/net/eth0/address",
    )  # fmt: skip
    for line in ("10.0.0.9\tdb", f"{net}.1\tup", f"{net}.55\tme", f"nameserver {net}.1", "search corp.example"):
        assert line in said.splitlines()
    assert said.splitlines()[-1] == "02:00:00:00:00:77"
    refused = engine.docker("run", "--rm", "--network", "bridge", "--ip", "10.1.1.1", BASE, "true", check=False)
    assert "user specified IP address is supported on user defined networks only" in refused.err


def test_networks_of_the_host_of_nobody_and_of_another_container(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "c1", BASE, "sleep", "1000")
    links = ("ls", "/sys/class/net")
    assert engine.out("run", "--rm", "--network", "none", BASE, *links) == "lo"
    assert "eth0" in engine.out("run", "--rm", "--network", "host", BASE, *links)
    mine = engine.out("exec", "c1", "cat", "/sys/class/net/eth0/address")
    assert engine.out("run", "--rm", "--network", "container:c1", BASE, "cat", "/sys/class/net/eth0/address") == mine


def test_prune_removes_networks_without_containers(engine: RunningEngine) -> None:
    for name in ("used", "idle"):
        engine.docker("network", "create", "--label", f"is={name}", name)
    engine.docker("run", "-d", "--network", "used", BASE, "sleep", "1000")
    assert engine.out("network", "ls", "-q", "--filter", "dangling=true", "--format", "{{.Name}}") == "idle"
    assert "idle" not in engine.out("network", "prune", "-f", "--filter", "label=is=used")
    assert engine.out("network", "prune", "-f").split() == ["Deleted", "Networks:", "idle"]
    assert engine.docker("network", "inspect", "used").code == 0
