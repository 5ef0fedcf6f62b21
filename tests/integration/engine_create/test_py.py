"""Creation by docker-py, which sends other forms than the command: everything in one container, seen from inside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root
docker = pytest.importorskip("docker")


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[Any]:
    found = docker.DockerClient(base_url=engine.host)
    yield found
    found.close()


def test_everything_at_once(client: Any, tmp_path: Path) -> None:
    types = docker.types
    tmp_path.chmod(0o755)
    (tmp_path / "bound").write_text("bound\n")
    said = client.containers.run(
        BASE,
        ["sh", "-c", "cat /etc/hostname /bound/bound; id -G; ulimit -n; cat /proc/sys/net/ipv4/ip_forward; umask;"
         "grep -c ' /t ' /proc/mounts; echo $A; grep NoNew /proc/self/status; cat /etc/hosts; ls -d /v"],
        remove=True,
        hostname="box",
        domainname="example.org",
        user="app",
        group_add=["777"],
        environment={"A": "b"},
        mounts=[
            types.Mount("/bound", str(tmp_path), type="bind", read_only=True, propagation="rprivate"),
            types.Mount("/v", "py-volume", type="volume", labels={"x": "y"}, no_copy=True),
            types.Mount("/t", None, type="tmpfs", tmpfs_size="1m", tmpfs_mode=0o1777),
        ],
        ulimits=[types.Ulimit(name="nofile", soft=50, hard=60)],
        sysctls={"net.ipv4.ip_forward": 0},
        security_opt=["no-new-privileges:true"],
        cap_drop=["ALL"],
        extra_hosts={"other": "10.9.8.7"},
        init=True,
        ipc_mode="shareable",
        shm_size="8m",
        labels=["one", "two"],
        log_config=types.LogConfig(type="json-file", config={"max-size": "1m"}),
        healthcheck={"test": ["CMD", "true"], "interval": 1_000_000_000},
        device_cgroup_rules=["c 10:229 rwm"],
        oom_score_adj=100,
        read_only=True,
    ).decode()  # fmt: skip
    lines = said.splitlines()
    assert lines[:2] == ["box", "bound"]
    assert set(lines[2].split()) >= {"1000", "777"}
    assert lines[3:5] == ["50", "0"]
    assert lines[6:9] == ["1", "b", "NoNewPrivs:\t1"]
    assert "10.9.8.7\tother" in said
    assert lines[-1] == "/v"
    assert client.volumes.get("py-volume").attrs["Labels"] == {"x": "y"}
    client.volumes.get("py-volume").remove()


def test_wrong_values_have_dockers_status(client: Any) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"network_mode": "container:nosuch"}, 400),
        ({"ipc_mode": "strange"}, 400),
        ({"cap_add": ["FLY"]}, 400),
        ({"security_opt": ["magic=1"]}, 400),
        ({"volumes": ["a:b:c:d"]}, 400),
        ({"runtime": "kata"}, 400),
        ({"platform": "linux/s390x"}, 404),
    ]
    for settings, status in wrong:
        with pytest.raises(docker.errors.APIError) as caught:
            client.containers.create(BASE, "true", **settings)
        assert caught.value.status_code == status, (settings, caught.value)
    with pytest.raises(docker.errors.ImageNotFound):
        client.containers.create("no-such-image:1", "true")


def test_what_was_asked_for_is_read_back(client: Any) -> None:
    made = client.containers.create(
        BASE, "true", mem_limit="64m", cpuset_cpus="0", pids_limit=20, restart_policy={"Name": "on-failure",
        "MaximumRetryCount": 3}, dns=["10.0.0.1"], tmpfs={"/t": "size=1m"}, cap_add=["NET_ADMIN"], working_dir="/w",
        stop_signal="SIGINT", ports={"80/tcp": ("127.0.0.1", None)}, volumes={"py2": {"bind": "/v", "mode": "ro"}},
    )  # fmt: skip
    try:
        shown = json.loads(json.dumps(made.attrs))
        host, config = shown["HostConfig"], shown["Config"]
        assert (host["Memory"], host["PidsLimit"], host["CpusetCpus"]) == (64 * 2**20, 20, "0")
        assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
        assert (host["Dns"], host["Tmpfs"], host["Binds"]) == (["10.0.0.1"], {"/t": "size=1m"}, ["py2:/v:ro"])
        assert (config["WorkingDir"], config["StopSignal"]) == ("/w", "SIGINT")
        assert [(m["Destination"], m["RW"]) for m in shown["Mounts"]] == [("/v", False)]
    finally:
        made.remove()
        client.volumes.get("py2").remove()
