"""A scoped socket in the hands of somebody who wants out: whatever is sent, the host and others stay as they are.

Three oracles hold after every attack: nothing of the victim has been said, nothing of the victim has changed, and no
container made through the socket has anything of the host.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_fixture import BASE, RunningEngine, running_engine
from hostile import BODIES, VALUES, Answered, Asked, ask, places, replaced
from riad.dockerclient.scoped.proxy import ScopedProxy
from riad.dockerclient.scoped.quota import Quota
from riad.dockerclient.scoped.rules import decide
from riad.dockerclient.scoped.scope import Scope
from riad.dockerclient.scoped.sockets import serve
from riad.engine.daemon import EngineConfig, assemble
from riad.kernel.faults import Fault

pytestmark = pytest.mark.root
SECRET = "s3cr3t-of-the-victim"


@dataclass(frozen=True, slots=True)
class House:
    engine: RunningEngine
    path: Path
    victim: str
    network: str

    def ask(self, method: str, target: str, body: Any = None, *headers: tuple[str, str]) -> Answered:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = ask(self.path, Asked(method, target.encode(), data, headers))
        assert SECRET.encode() not in answer.start
        assert self.victim in target or self.victim.encode() in data or self.victim.encode() not in answer.start
        return answer

    def refused(self, method: str, target: str, body: Any = None, *headers: tuple[str, str]) -> Answered:
        answer = self.ask(method, target, body, *headers)
        assert answer.status >= 400, (method, target, body, answer)
        assert answer.status != 500 or method == "DELETE", (method, target, body, answer)
        return answer


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_engine() as engine:
        labels = ("--label", "riad.project=other/secret", "--label", "riad.scoped=other/secret")
        engine.docker("network", "create", *labels, "victim-net")
        engine.docker("volume", "create", *labels, "victim-vol")
        options = ("-e", f"TOKEN={SECRET}", "-v", "victim-vol:/data", "--network", "victim-net", *labels)
        victim = engine.out("run", "-d", "--name", "victim", *options, BASE, "sleep", "10000")
        engine.docker("commit", "victim", "localhost:8080/other/secret:1")
        network = engine.out("network", "inspect", "-f", "{{.Id}}", "victim-net")
        folder = tmp_path_factory.mktemp("s")
        with served(engine.host, folder / "s.sock", folder, Quota(containers=50)) as path:
            house = House(engine, path, victim, network)
            made = house.ask("POST", "/containers/create?name=mine", {"Image": BASE, "Cmd": ["sleep", "10000"]})
            assert made.status == 201, made
            assert house.ask("POST", "/containers/mine/start").status == 204
            assert house.ask("POST", "/networks/create", {"Name": "my-net"}).status == 201
            yield house
        engine.docker("rm", "-f", "victim")


class served:  # noqa: N801 -- used with `with`
    """A scoped socket on an event loop of its own."""

    def __init__(self, host: str, path: Path, spool: Path, quota: Quota) -> None:
        self._host, self._path, self._spool, self._quota = host, path, spool, quota
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Path:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        return self._path

    async def _open(self) -> None:
        self._proxy = ScopedProxy(self._host, Scope("localhost:8080", "demo/shop", None, self._quota), self._spool)
        self._runner = await serve(self._proxy, self._path)

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._proxy.close()

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(autouse=True)
def _unharmed(house: House) -> Iterator[None]:
    yield
    victim = json.loads(house.engine.out("inspect", "victim"))[0]
    assert victim["State"]["Running"]
    assert list(victim["NetworkSettings"]["Networks"]) == ["victim-net"]
    assert set(json.loads(house.engine.out("network", "inspect", "victim-net"))[0]["Containers"]) == {house.victim}
    house.engine.docker("volume", "inspect", "victim-vol")
    house.engine.docker("image", "inspect", "localhost:8080/other/secret:1")
    made = house.engine.out("ps", "-aq", "--filter", "label=riad.scoped=demo/shop").split()
    for entry in json.loads(house.engine.out("inspect", *made)):
        check_harmless(entry)
        if entry["Name"] != "/mine":
            house.engine.docker("rm", "-f", "-v", entry["Id"])
    assert len(house.engine.out("ps", "-aq").split()) == 2


def check_harmless(container: dict[str, Any]) -> None:
    host = container["HostConfig"]
    assert not host["Privileged"]
    assert all(mount["Type"] in ("volume", "tmpfs") for mount in container["Mounts"]), container["Mounts"]
    assert all(mount.get("Name") != "victim-vol" for mount in container["Mounts"])
    assert not any(
        ":" in host[name] or host[name] == "host" for name in ("PidMode", "IpcMode", "UTSMode", "UsernsMode")
    )
    assert host["NetworkMode"] in ("", "default", "bridge", "none", "my-net")
    assert not {"victim-net", "host"} & set(container["NetworkSettings"]["Networks"])
    assert not host["Devices"] and not host["DeviceCgroupRules"] and not host["CgroupParent"]
    assert not any("unconfined" in option for option in host["SecurityOpt"] or ())
    assert container["Config"]["Labels"]["riad.scoped"] == "demo/shop"
    assert not any(name.startswith("riad.idmap") for name in container["Config"]["Labels"])


# Containers that reach beyond themselves, in every spelling that a decoder may forgive.

ESCAPES: tuple[dict[str, Any], ...] = (
    {"Privileged": True},
    {"Binds": ["/:/host"]},
    {"Binds": ["/etc:/e:ro"]},
    {"Binds": ["../..:/x"]},
    {"Binds": [".:/x"]},
    {"Binds": ["victim-vol:/x"]},
    {"Binds": ["/var/run/docker.sock:/s"]},
    {"Binds": ["~/x:/y"]},
    {"Binds": [":/x"]},
    {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]},
    {"Mounts": [{"Type": "volume", "Source": "victim-vol", "Target": "/x"}]},
    {"Mounts": [{"Type": "volume", "Source": "victim-vol", "Target": "/x", "VolumeOptions": {"Subpath": ".."}}]},
    {"Mounts": [{"Type": "image", "Source": "localhost:8080/other/secret:1", "Target": "/x"}]},
    {
        "Mounts": [
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/x",
                "VolumeOptions": {
                    "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}
                },
            }
        ]
    },
    {"Mounts": [{"Type": "volume", "type": "bind", "Source": "/", "Target": "/x"}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/x", "BindOptions": {"Propagation": "rshared"}}]},
    {"Mounts": [{"Type": "cluster", "Source": "x", "Target": "/x"}]},
    {"Mounts": [{"Type": "npipe", "Source": "x"}]},
    {"VolumesFrom": ["victim"]},
    {"VolumesFrom": ["victim:rw"]},
    {"VolumesFrom": ["vict"]},
    {"NetworkMode": "host"},
    {"NetworkMode": "container:victim"},
    {"NetworkMode": "victim-net"},
    {"NetworkMode": "ns:/x"},
    {"PidMode": "host"},
    {"PidMode": "container:victim"},
    {"IpcMode": "host"},
    {"IpcMode": "container:victim"},
    {"UTSMode": "host"},
    {"UsernsMode": "host"},
    {"CgroupnsMode": "host"},
    {"CgroupParent": "/"},
    {"Cgroup": "container:victim"},
    {"CapAdd": ["SYS_ADMIN"]},
    {"CapAdd": ["ALL"]},
    {"CapAdd": ["cap_sys_ptrace"]},
    {"SecurityOpt": ["seccomp=unconfined"]},
    {"SecurityOpt": ["apparmor:unconfined"]},
    {"SecurityOpt": ["systempaths=unconfined"]},
    {"SecurityOpt": ["label:disable"]},
    {"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}]},
    {"DeviceCgroupRules": ["a *:* rwm"]},
    {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["x"]}]},
    {"MaskedPaths": []},
    {"ReadonlyPaths": []},
    {"Runtime": "other"},
    {"Sysctls": {"kernel.core_pattern": "|/x"}},
    {"OomScoreAdj": -1000},
    {"OomKillDisable": True},
    {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://x"}}},
    {"LogConfig": {"Type": "json-file", "Config": {"max-size": "-1"}}},
    {"StorageOpt": {"size": "1"}},
    {"PortBindings": {"80/tcp": [{"HostPort": "22"}]}},
    {"PortBindings": {"80/tcp": [{"HostIp": "10.0.0.1"}]}},
    {"RestartPolicy": {"Name": "always"}},
    {"Links": ["victim:v"]},
    {"VolumeDriver": "other"},
    {"Annotations": {"a": "b"}},
    {"ContainerIDFile": "/x"},
    {"Isolation": "hyperv"},
)


@pytest.mark.parametrize("host", ESCAPES, ids=lambda host: json.dumps(host)[:60])
def test_a_container_with_something_of_the_host_is_refused_in_every_spelling(
    house: House, host: dict[str, Any]
) -> None:
    house.refused("POST", "/containers/create", {"Image": BASE, "HostConfig": host})
    for spelled in (str.lower, str.upper, str.swapcase):
        changed = {spelled(key): value for key, value in host.items()}
        house.ask("POST", "/containers/create", {"Image": BASE, "HostConfig": changed})
        house.ask("POST", "/containers/create", {"Image": BASE, spelled("HostConfig"): host})
        house.ask("POST", "/containers/create", {"Image": BASE, "HostConfig": {}, spelled("HostConfig"): host})
    twice = f'{{"Image": "{BASE}", "HostConfig": {json.dumps(host)}, "HostConfig": {{}}}}'
    house.ask("POST", "/containers/create", twice.encode())
    house.ask("POST", "/v1.24/containers/create", {"Image": BASE, **host})
    house.ask("POST", "/containers/mine/start", {"HostConfig": host, **host})
    house.ask("POST", "/v1.18/containers/mine/start", {"HostConfig": host, **host})
    house.ask("POST", "/containers/mine/restart?t=0", host)
    house.refused("POST", "/containers/mine/update", host)


ENDPOINTS: tuple[dict[str, Any], ...] = (
    {"victim-net": {}},
    {"host": {}},
    {"container:victim": {}},
    {"my-net": {"Links": ["victim"]}},
    {"my-net": {"DriverOpts": {"a": "b"}}},
)


@pytest.mark.parametrize("endpoints", ENDPOINTS, ids=json.dumps)
def test_a_network_of_others_is_not_joined(house: House, endpoints: dict[str, Any]) -> None:
    house.refused("POST", "/containers/create", {"Image": BASE, "NetworkingConfig": {"EndpointsConfig": endpoints}})


def test_an_id_beside_a_name_is_no_second_name(house: House) -> None:
    """Docker's engine joins the network of NetworkID whatever the name says."""
    for name in ("my-net", "bridge"):
        sneaky = {name: {"NetworkID": house.network}}
        config = {"EndpointsConfig": sneaky}
        house.refused("POST", "/containers/create", {"Image": BASE, "NetworkingConfig": config})
    body = {"Container": "mine", "EndpointConfig": {"NetworkID": house.network}}
    house.refused("POST", "/networks/my-net/connect", body)


def test_nothing_of_others_is_read_or_changed_by_any_name(house: House) -> None:
    names = (
        "victim",
        house.victim,
        house.victim[:12],
        house.victim[:3],
        "/victim",
        "%76ictim",
        "victim%00",
        "%2Fvictim",
    )
    for name in names:
        for method, verb, body in (
            ("GET", "json", None),
            ("GET", "logs?stdout=1", None),
            ("GET", "top", None),
            ("GET", "stats?stream=0", None),
            ("GET", "changes", None),
            ("GET", "export", None),
            ("GET", "archive?path=/", None),
            ("HEAD", "archive?path=/", None),
            ("PUT", "archive?path=/", b""),
            ("POST", "start", None),
            ("POST", "stop", None),
            ("POST", "kill", None),
            ("POST", "restart", None),
            ("POST", "pause", None),
            ("POST", "unpause", None),
            ("POST", "wait", None),
            ("POST", "rename?name=mine2", None),
            ("POST", "resize?h=1&w=1", None),
            ("POST", "attach?stdout=1&stream=1", None),
            ("POST", "exec", {"Cmd": ["env"]}),
            ("POST", "update", {"Memory": 1}),
            ("GET", "attach/ws", None),
            ("GET", "checkpoints", None),
        ):
            house.refused(method, f"/containers/{name}/{verb}", body)
        house.refused("DELETE", f"/containers/{name}?force=1")
        house.refused("POST", "/networks/my-net/connect", {"Container": name})
        house.refused("GET", f"/containers/json?before={name}")
        house.refused("GET", '/containers/json?filters={"since":["' + name + '"]}')


def test_nothing_of_others_is_reached_by_networks_volumes_images_and_runs(house: House) -> None:
    for name in ("victim-net", house.network, house.network[:4], "host"):
        house.refused("GET", f"/networks/{name}")
        house.refused("DELETE", f"/networks/{name}")
        house.refused("POST", f"/networks/{name}/connect", {"Container": "mine"})
        house.refused("POST", f"/networks/{name}/disconnect", {"Container": house.victim, "Force": True})
    house.refused("POST", "/networks/bridge/connect", {"Container": "mine"})
    house.refused("GET", "/volumes/victim-vol")
    house.refused("DELETE", "/volumes/victim-vol?force=1")
    house.refused("POST", "/volumes/create", {"Name": "victim-vol"})
    for body in (
        {"Name": "v", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}},
        {"Name": "v", "driveropts": {"device": "/"}},
        {"Name": "v", "Driver": "other"},
        {"Name": "../../x"},
        {"Name": "v", "Labels": {"riad.scoped": "other/secret"}},
        {"Name": "v", "ClusterVolumeSpec": {"Group": "x"}},
    ):
        house.refused("POST", "/volumes/create", body)
    for body in (
        {"Name": "n", "Driver": "macvlan", "Options": {"parent": "eth0"}},
        {"Name": "n", "Driver": "host"},
        {"Name": "n", "Options": {"com.docker.network.bridge.name": "docker0"}},
        {"Name": "riad-n"},
        {"Name": "n", "IPAM": {"Config": [{"Subnet": "0.0.0.0/0"}]}},
        {"Name": "n", "ConfigFrom": {"Network": "victim-net"}},
        {"Name": "n", "Labels": {"riad.scoped": "other/secret"}},
        {"Name": "n", "Labels": {"RIAD.scoped": "x"}},
    ):
        house.refused("POST", "/networks/create", body)
    image = "localhost:8080/other/secret:1"
    for method, target in (
        ("GET", f"/images/{image}/json"),
        ("GET", f"/images/{image}/get"),
        ("GET", f"/images/get?names={image}"),
        ("GET", f"/images/get?names=base:1&names={image}"),
        ("GET", f"/images/get?names=base:1,{image}"),
        ("POST", f"/images/{image}/tag?repo=localhost:8080/demo/shop&tag=1"),
        ("DELETE", f"/images/{image}"),
        ("DELETE", "/images/base:1"),
        ("POST", f"/images/base:1/tag?repo={image}"),
        ("POST", f"/images/{image}/push"),
        ("POST", "/images/base:1/tag?repo=localhost:8080/demo/shop/../../other/secret"),
        ("POST", "/images/create?fromSrc=-&repo=x"),
        ("POST", "/images/load"),
        ("POST", "/commit?container=victim"),
        ("POST", "/commit?container=mine&repo=x"),
        ("POST", "/containers/prune"),
        ("POST", "/volumes/prune"),
        ("POST", "/images/prune"),
        ("POST", "/networks/prune"),
        ("POST", "/build/prune"),
        ("GET", "/system/df"),
        ("POST", "/grpc"),
        ("POST", "/session"),
        ("GET", "/riad/repair"),
        ("POST", "/riad/repair"),
        ("GET", "/metrics"),
        ("GET", "/swarm"),
        ("POST", "/swarm/init"),
        ("GET", "/secrets"),
        ("GET", "/plugins"),
        ("POST", "/plugins/pull"),
    ):
        house.refused(method, target)
    house.refused("POST", "/containers/create", {"Image": image})


@pytest.mark.parametrize(
    "body",
    [{"Cmd": ["id"], "Privileged": True}, {"Cmd": ["id"], "Privileged": 1}, {"Cmd": ["id"], "Privileged": "true"}],
)
def test_a_command_in_an_own_container_has_no_privileges(house: House, body: dict[str, Any]) -> None:
    house.refused("POST", "/containers/mine/exec", body)
    answer = house.ask("POST", "/containers/mine/exec", {"Cmd": ["true"], "privileged": True})
    assert answer.status >= 400


@pytest.mark.parametrize(
    "path",
    [
        "/containers/../containers/victim/json",
        "/containers/mine/../victim/json",
        "//containers/victim/json",
        "/containers/mine/..%2f..%2fvictim/json",
        "/containers/mine%2f..%2fvictim/json",
        "/v1.41/../containers/victim/json",
        "/containers/victim/json#",
        "/containers/mine/json/../../victim/json",
        "/./containers/victim/json",
        "/containers/mine/json%3f/../victim",
        "/v1.41/v1.41/containers/victim/json",
        "/images/x/../../containers/victim/json",
        "/images/../containers/victim/json",
        "/distribution/../containers/victim/json",
        "/%2e%2e/containers/victim/json",
        "/containers/victim%2fjson",
        "/CONTAINERS/victim/json",
        "/containers//victim/json",
        "/containers;x/victim/json",
    ],
)
def test_a_path_that_means_another_is_refused(house: House, path: str) -> None:
    house.refused("GET", path)


def test_columns_of_ps_are_not_renamed(house: House) -> None:
    house.refused("GET", "/containers/mine/top?ps_args=-eo%20uid%3DPID,args")
    assert house.ask("GET", "/containers/mine/top?ps_args=aux").status == 200


def test_events_and_lists_show_nothing_of_others(house: House) -> None:
    house.engine.docker("exec", "victim", "true")
    for filters in (
        "{}",
        '{"container":["victim"]}',
        '{"type":["container"],"label":[]}',
        '{"label":{"riad.scoped":false}}',
    ):
        house.ask("GET", f"/events?since=1&until=9999999999&filters={filters}")
        house.ask("GET", f"/containers/json?all=1&filters={filters}")
        house.ask("GET", f"/volumes?filters={filters}")
        house.ask("GET", f"/networks?filters={filters}")
    two = "filters=%7B%7D&filters=%7B%22label%22%3A%5B%22riad.scoped%3Dother%2Fsecret%22%5D%7D"
    house.ask("GET", f"/containers/json?all=1&{two}")
    for kind in ("network", "volume", "image", "daemon"):
        house.ask("GET", f'/events?since=1&until=9999999999&filters={{"type":["{kind}"]}}')
    assert b"victim-" not in house.ask("GET", "/volumes").start
    assert b"victim-" not in house.ask("GET", "/networks").start
    assert b"other/secret" not in house.ask("GET", "/images/json?all=1").start


SMUGGLED = b"DELETE /containers/victim?force=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        % len(SMUGGLED),
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
        b"POST /containers/mine/attach?stream=1 HTTP/1.1\r\nHost: x\r\n"
        b"Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /containers/victim/attach?stream=1 HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"HTTP2-Settings: AAMAAABk\r\n\r\n",
        b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX: a\r\n b\r\n\r\n",
        b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;ext=\n\r\na\r\n0\r\n\r\n",
        b"POST /containers/mine/wait HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_a_request_inside_another_is_looked_at_or_lost(house: House, raw: bytes) -> None:
    """`_unharmed` sees whether the smuggled removal got through."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        client.connect(str(house.path))
        said = b""
        try:
            client.sendall(raw + SMUGGLED + SMUGGLED)
            while data := client.recv(65536):
                said += data
        except (TimeoutError, ConnectionError):
            pass
    assert house.victim.encode() not in said


def tar(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.mark.parametrize(
    ("query", "dockerfile"),
    [
        ("networkmode=host", "FROM base:1"),
        ("networkmode=container:victim", "FROM base:1"),
        ("networkmode=victim-net", "FROM base:1"),
        ("cgroupparent=/", "FROM base:1"),
        ('securityopt=["x"]', "FROM base:1"),
        ("remote=http://127.0.0.1/x", "FROM base:1"),
        ("version=2", "FROM base:1"),
        ("t=base:1", "FROM base:1"),
        ("t=localhost:8080/other/secret:1", "FROM base:1"),
        ('outputs=[{"Type":"local"}]', "FROM base:1"),
        ('labels={"riad.scoped":"other/secret"}', "FROM base:1"),
        ("allow=security.insecure", "FROM base:1"),
        ('cachefrom=["localhost:8080/other/secret:1"]', "FROM base:1"),
        ("", "FROM localhost:8080/other/secret:1"),
        ("", "FROM base:1\nCOPY --from=localhost:8080/other/secret:1 /x /x"),
        ('buildargs={"I":"localhost:8080/other/secret:1"}', "ARG I\nFROM $I"),
        ("", "FROM base:1\nRUN --network=host id"),
        ("", "FROM base:1\nRUN --security=insecure id"),
        ("", "FROM base:1\nRUN --mount=type=bind,from=localhost:8080/other/secret:1,target=/x id"),
        ("", "FROM base:1\nONBUILD RUN --network=host id"),
        ("", "FROM base:1\nADD http://127.0.0.1:80/x /x"),
        ("", "FROM base:1\nADD ht\\tps://127.0.0.1/x /x"),
        ("", "FROM base:1\nARG U=http://127.0.0.1/\nADD ${U} /x"),
        ("", "FROM base:1\nENV T=p\nADD htt$T://127.0.0.1/x /x"),
        ("", "FROM base:1\nADD git@127.0.0.1:x.git /x"),
        ("", "FROM base:1\nONBUILD ADD http://127.0.0.1/x /x"),
        ("dockerfile=../../etc/passwd", "FROM base:1"),
    ],
)
def test_a_build_that_reaches_beyond_itself_is_refused(house: House, query: str, dockerfile: str) -> None:
    house.refused("POST", f"/build?{query}".replace('"', "%22"), tar(Dockerfile=dockerfile, x="y"))


_TEMPTING = ("host", "container:victim", ["/:/x"], {"Privileged": True}, "victim-net")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_no_odd_document_makes_a_container_that_is_not_harmless(house: House, data: st.DataObject) -> None:
    template = BODIES["/containers/create"]
    document = template
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([place for place in places(document) if place]))
        value = data.draw(st.sampled_from((*VALUES, *_TEMPTING)))
        document = replaced(document, path, value)
    answer = house.ask("POST", "/containers/create", document)
    assert answer.status != 500 or b"riad: an internal error" not in answer.start
    if answer.status == 201:
        made = json.loads(answer.start)["Id"]
        check_harmless(json.loads(house.engine.out("inspect", made))[0])
        house.engine.docker("rm", "-f", "-v", made)


def test_the_quota_bounds_what_many_clients_make_at_once(house: House, tmp_path: Path) -> None:
    with served(house.engine.host, tmp_path / "q.sock", tmp_path, Quota(containers=4, pids=20)) as path:
        body = json.dumps({"Image": BASE, "Cmd": ["true"]}).encode()
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(ask(path, Asked("POST", b"/containers/create", body)).status)
            )
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(set(answers)) == [201, 429]
    assert answers.count(201) == 3  # `mine` is one of the four


ALLOWED = frozenset((Path(__file__).parents[2] / "cases/scoped/allowed-routes.txt").read_text().splitlines())


def test_every_route_of_the_engine_is_allowed_on_purpose_or_refused(tmp_path: Path) -> None:
    """A route that the engine grows is refused until somebody has thought about it here."""

    async def routes() -> set[tuple[str, str]]:
        (tmp_path / "run").mkdir()
        daemon = assemble(EngineConfig(data_root=tmp_path / "data", exec_root=tmp_path / "run"))
        daemon.state.close()
        return {(route.method, route.resource.canonical) for route in daemon.app.router.routes() if route.resource}

    def passes(method: str, path: str) -> bool:
        try:
            decide(method, path)
        except Fault:
            return False
        return True

    found = {(method, re.sub(r"{[^}]*}", "x", path).rstrip("/")) for method, path in asyncio.run(routes())}
    plain = {(method, path) for method, path in found if not path.startswith("/vx/")}
    every = {
        (m, path)
        for method, path in plain
        for m in (("GET", "POST", "PUT", "DELETE", "HEAD") if method == "*" else (method,))
    }
    allowed = {f"{method} {path}" for method, path in every if passes(method, path)}
    assert allowed <= ALLOWED, allowed - ALLOWED
