"""What Docker's clients ask of networks beyond the everyday: both families, settings, filters, refusals, events."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

import pytest

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root

SLEEP = (BASE, "sleep", "1000")


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def api(engine: RunningEngine, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = _OverSocket(str(engine.socket))
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def said(engine: RunningEngine, method: str, path: str, body: object = None) -> tuple[int, str]:
    status, answer = api(engine, method, path, body)
    return status, answer["message"]


def test_a_network_with_ipv6_shows_it_everywhere(engine: RunningEngine) -> None:
    engine.docker("network", "create", "--ipv6", "six")
    (network,) = json.loads(engine.out("network", "inspect", "six"))
    assert network["EnableIPv6"] is True
    six = network["IPAM"]["Config"][1]
    assert six["Subnet"].startswith("fd") and six["Gateway"] == six["Subnet"].replace("/64", "1")
    engine.docker("run", "-d", "--name", "c1", "--network", "six", "-p", "80", *SLEEP)
    place = json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks.six}}", "c1"))
    assert place["GlobalIPv6PrefixLen"] == 64 and place["IPv6Gateway"] == six["Gateway"]
    assert place["GlobalIPv6Address"] in engine.out("exec", "c1", "cat", "/etc/hosts")
    four, both = engine.out("port", "c1").splitlines()
    assert four.startswith("80/tcp -> 0.0.0.0:") and both == four.replace("0.0.0.0", "[::]")
    member = json.loads(engine.out("network", "inspect", "-f", "{{json .Containers}}", "six"))
    assert [each["IPv6Address"] for each in member.values()] == [f"{place['GlobalIPv6Address']}/64"]


def test_a_network_that_asked_for_nothing_has_no_ipv6(engine: RunningEngine) -> None:
    engine.docker("network", "create", "four")
    (network,) = json.loads(engine.out("network", "inspect", "four"))
    assert network["EnableIPv6"] is False and len(network["IPAM"]["Config"]) == 1
    engine.docker("network", "create", "--subnet", "fd77:1::/64", "alike")  # as Docker: passed over without --ipv6
    assert engine.out("network", "inspect", "-f", "{{.EnableIPv6}}", "alike") == "false"


def test_fixed_addresses_of_both_families(engine: RunningEngine) -> None:
    engine.docker("network", "create", "--ipv6", "--subnet", "10.233.7.0/24", "--subnet", "fd77:2::/64", "six")
    engine.docker("run", "-d", "--name", "c1", "--network", "six", "--ip", "10.233.7.7", "--ip6", "fd77:2::77", *SLEEP)
    place = json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks.six}}", "c1"))
    assert (place["IPAddress"], place["GlobalIPv6Address"]) == ("10.233.7.7", "fd77:2::77")
    assert place["IPAMConfig"] == {"IPv4Address": "10.233.7.7", "IPv6Address": "fd77:2::77"}
    refused = engine.docker("run", "--rm", "--network", "six", "--ip6", "fd99::1", BASE, "true", check=False)
    assert "no configured subnet contains IP address fd99::1" in refused.err
    refused = engine.docker("run", "--rm", "--network", "six", "--ip6", "fd77:2::77", BASE, "true", check=False)
    assert "Address already in use" in refused.err


def test_settings_of_one_network_are_used_by_others(engine: RunningEngine) -> None:
    engine.docker("network", "create", "--config-only", "--subnet", "10.233.8.0/24", "-o", "x=y", "conf")
    engine.docker("network", "create", "--config-from", "conf", "made")
    (made,) = json.loads(engine.out("network", "inspect", "made"))
    assert made["IPAM"]["Config"][0]["Subnet"] == "10.233.8.0/24"
    assert (made["ConfigFrom"], made["Options"]) == ({"Network": "conf"}, {"x": "y"})
    for arguments, sentence in (
        (("run", "--rm", "--network", "conf", BASE, "true"), "cannot create endpoint on configuration-only network"),
        (("network", "rm", "conf"), 'configuration network "conf" is in use'),
        (("network", "create", "--config-from", "nowhere", "n"), "network nowhere not found"),
        (("network", "create", "--config-from", "conf", "--internal", "n"), "user specified configurations are not"),
    ):
        assert sentence in engine.docker(*arguments, check=False).err
    engine.docker("network", "rm", "made", "conf")


def test_filters_of_lists(engine: RunningEngine) -> None:
    engine.docker("network", "create", "--label", "team=a", "used-net")
    idle = engine.out("network", "create", "--label", "team=b", "idle-net")
    engine.docker("run", "-d", "--network", "used-net", *SLEEP)

    def listed(*filters: str) -> list[str]:
        flags = [word for each in filters for word in ("--filter", each)]
        return sorted(engine.out("network", "ls", "--format", "{{.Name}}", *flags).split())

    assert listed("type=custom") == ["idle-net", "used-net"]
    assert listed("type=builtin") == ["bridge", "host", "none"]
    assert listed("dangling=true") == ["idle-net"]
    assert listed("dangling=false", "type=custom") == ["used-net"]
    assert listed("driver=null") == ["none"]
    assert listed("label=team") == ["idle-net", "used-net"]
    assert listed("label=team=b") == listed(f"id={idle[:6]}") == ["idle-net"]
    assert listed("name=net") == ["idle-net", "used-net"]
    assert listed("scope=swarm") == []
    assert listed("scope=local", "driver=bridge", "type=custom") == ["idle-net", "used-net"]
    for wrong, sentence in (("nonsense=1", "nonsense"), ("type=odd", "odd"), ("dangling=perhaps", "perhaps")):
        assert sentence in engine.docker("network", "ls", "--filter", wrong, check=False).err


def test_prune_obeys_until_and_labels(engine: RunningEngine) -> None:
    engine.docker("network", "create", "--label", "keep", "kept")
    engine.docker("network", "create", "young")
    assert engine.out("network", "prune", "-f", "--filter", "until=1h") == ""
    assert engine.out("network", "prune", "-f", "--filter", "label!=keep").split() == ["Deleted", "Networks:", "young"]


def test_names_ids_and_their_starts(engine: RunningEngine) -> None:
    made = engine.out("network", "create", "one")
    for reference in ("one", made, made[:7]):
        assert engine.out("network", "inspect", "-f", "{{.Id}}", reference) == made
    assert said(engine, "GET", "/networks/nowhere") == (404, "network nowhere not found")
    assert said(engine, "GET", f"/networks/{made}?scope=swarm")[0] == 404
    assert said(engine, "DELETE", "/networks/host") == (403, "host is a pre-defined network and cannot be removed")
    assert said(engine, "POST", "/networks/create", {"Name": "one"}) == (
        409,
        "network with name one already exists",
    )
    assert said(engine, "POST", "/networks/create", {"Name": "bridge"})[0] == 403
    assert said(engine, "POST", "/networks/create", {"Name": ""})[0] == 400


def test_a_network_in_use_is_not_removed(engine: RunningEngine) -> None:
    made = engine.out("network", "create", "busy")
    engine.docker("run", "-d", "--name", "c1", "--network", "busy", *SLEEP)
    status, sentence = said(engine, "DELETE", "/networks/busy")
    assert status == 403
    assert sentence.startswith(f"error while removing network: network busy id {made} has active endpoints")


def test_several_networks_at_creation_came_with_api_1_44(engine: RunningEngine) -> None:
    for name in ("n1", "n2"):
        engine.docker("network", "create", name)
    ends = {"n1": {"MacAddress": "02:00:00:00:00:01"}, "n2": {"MacAddress": "02:00:00:00:00:02", "Aliases": ["a"]}}
    body = {
        "Image": BASE,
        "Cmd": ["sleep", "1000"],
        "HostConfig": {"NetworkMode": "n1"},
        "NetworkingConfig": {"EndpointsConfig": ends},
    }
    assert said(engine, "POST", "/v1.43/containers/create?name=c1", body) == (
        400,
        "Container cannot be connected to network endpoints: n1, n2",
    )
    assert api(engine, "POST", "/v1.44/containers/create?name=c1", body)[0] == 201
    engine.docker("start", "c1")
    places = json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks}}", "c1"))
    assert {name: place["MacAddress"] for name, place in places.items()} == {
        name: end["MacAddress"] for name, end in ends.items()
    }
    assert "a" in places["n2"]["DNSNames"]


def test_created_stopped_and_running_containers_join_and_leave(engine: RunningEngine) -> None:
    engine.docker("network", "create", "n1")
    engine.docker("create", "--name", "c1", *SLEEP)
    engine.docker("network", "connect", "--alias", "nick", "n1", "c1")
    engine.docker("network", "disconnect", "bridge", "c1")
    engine.docker("start", "c1")
    assert list(json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks}}", "c1"))) == ["n1"]
    engine.docker("stop", "-t", "0", "c1")
    engine.docker("network", "disconnect", "n1", "c1")
    engine.docker("network", "connect", "bridge", "c1")
    engine.docker("start", "c1")
    assert list(json.loads(engine.out("inspect", "-f", "{{json .NetworkSettings.Networks}}", "c1"))) == ["bridge"]
    for arguments, sentence in (
        (("n1", "nobody"), "No such container: nobody"),
        (("nowhere", "c1"), "network nowhere not found"),
        (("host", "c1"), "cannot be disconnected from host network or connected to host network"),
        (("--ip", "10.0.0.1", "bridge", "c1"), "endpoint with name c1 already exists in network bridge"),
        (("--link-local-ip", "169.254.1.1", "n1", "c1"), "LinkLocalIPs is not supported"),
        (("--driver-opt", "a.b=c", "n1", "c1"), "endpoint option 'a.b' is not supported"),
    ):
        assert sentence in engine.docker("network", "connect", *arguments, check=False).err


def test_a_links_kernel_settings_are_its_own(engine: RunningEngine) -> None:
    engine.docker("network", "create", "n1")
    option = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    engine.docker("run", "-d", "--name", "c1", "--network", f"name=n1,driver-opt={option}", *SLEEP)
    assert engine.out("exec", "c1", "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians") == "1"
    wrong = option.replace("log_martians", "nonsense")
    said_ = engine.docker("run", "--rm", "--network", f"name=n1,driver-opt={wrong}", BASE, "true", check=False)
    assert "net.ipv4.conf.eth0.nonsense=1" in said_.err


def test_unknown_options_are_kept_and_told_of_while_newer_ones_that_matter_are_refused(engine: RunningEngine) -> None:
    status, answer = api(engine, "POST", "/networks/create", {"Name": "n1", "Options": {"x.y": "z"}})
    assert (status, "x.y" in answer["Warning"]) == (201, True)
    assert engine.out("network", "inspect", "-f", "{{json .Options}}", "n1") == '{"x.y":"z"}'
    option = "com.docker.network.bridge.trusted_host_interfaces"
    status, sentence = said(engine, "POST", "/networks/create", {"Name": "n2", "Options": {option: "eth0"}})
    assert (status, option in sentence) == (501, True)


def test_routed_networks_open_ports_at_the_containers_own_address(engine: RunningEngine) -> None:
    engine.docker("network", "create", "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed", "routed")
    engine.docker("network", "create", "other")
    engine.docker("run", "-d", "--name", "web", "--network", "routed", "-p", "80", "-v", "/usr:/usr:ro", BASE,
                  "python3", "-m", "http.server", "80", "--directory", "/etc")  # fmt: skip
    engine.docker("run", "-d", "--name", "far", "--network", "other", "-v", "/usr:/usr:ro", *SLEEP)
    address = engine.out("inspect", "-f", "{{.NetworkSettings.Networks.routed.IPAddress}}", "web")
    code = f"import urllib.request as u; u.urlopen('http://{address}:80/hostname', timeout=3).read()"
    wait_until(lambda: engine.docker("exec", "far", "python3", "-c", code, check=False).code == 0)


def test_what_happens_to_networks_is_told(engine: RunningEngine) -> None:
    begin = f"{time.time():.6f}"
    engine.docker("network", "create", "told")
    engine.docker("run", "--rm", "--network", "told", BASE, "true")
    engine.docker("network", "rm", "told")
    shown = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}"
    limits = ("--since", begin, "--until", f"{time.time():.6f}")
    seen = engine.out("events", *limits, "--filter", "type=network", "--format", shown).splitlines()
    assert seen == [f"{action} told bridge" for action in ("create", "connect", "disconnect", "destroy")]
