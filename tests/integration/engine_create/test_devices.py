"""Devices, users, limits and defaults, seen from inside the container."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root
_CDI = Path("/etc/cdi/riad-create-test.json")


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


@pytest.fixture
def described() -> Iterator[str]:
    made = not _CDI.parent.exists()
    _CDI.parent.mkdir(exist_ok=True)
    edits = {
        "env": ["RIAD_CDI=yes"],
        "deviceNodes": [{"path": "/dev/described", "hostPath": "/dev/full"}],
        "mounts": [{"hostPath": "/etc/os-release", "containerPath": "/described"}],
    }
    devices = [{"name": "one", "containerEdits": edits}]
    _CDI.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "riad.test/thing", "devices": devices}))
    try:
        yield "riad.test/thing=one"
    finally:
        _CDI.unlink()
        if made:
            _CDI.parent.rmdir()


def test_a_described_device_brings_what_it_needs(engine: RunningEngine, described: str) -> None:
    look = "echo $RIAD_CDI; test -c /dev/described && echo node; grep -c . /described"
    said = engine.docker("run", "--rm", "--device", described, BASE, "sh", "-c", look, check=False)
    if "not an absolute path" in said.err:
        pytest.skip("this docker command does not know CDI devices")
    assert said.out.split()[:2] == ["yes", "node"]


def test_devices_have_the_rights_that_were_given(engine: RunningEngine) -> None:
    said = engine.docker(
        "run", "--rm", "--device", "/dev/zero:/dev/mine:r", BASE, "sh", "-c",
        "head -c 3 /dev/mine | wc -c; rm /dev/zero; echo x > /dev/mine", check=False,
    )  # fmt: skip
    assert said.out.split()[0] == "3"


def test_a_rule_lets_nodes_work_that_the_container_makes(engine: RunningEngine) -> None:
    node = tarfile.TarInfo("node")
    node.type, node.devmajor, node.devminor = tarfile.CHRTYPE, 10, 229
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(node)
        content = packed.getvalue()
    said = []
    for rule in ((), ("--device-cgroup-rule", "c 10:229 rwm")):
        made = engine.out("create", *rule, BASE, "sh", "-c", "( : < /node ) 2>&1; true")
        subprocess.run(["docker", "cp", "-", f"{made}:/"], input=content, env=engine.environ, check=True)
        said.append(engine.out("start", "-a", made))
        engine.docker("rm", made)
    assert "not permitted" in said[0]
    assert "not permitted" not in said[1]


def test_groups_are_added_by_name_and_number(engine: RunningEngine) -> None:
    said = engine.out("run", "--rm", "-u", "app", "--group-add", "extra", "--group-add", "777", BASE, "id", "-G")
    assert set(said.split()) == {"1000", "1234", "777"}


def test_no_limit_rises_above_the_engines_own(engine: RunningEngine) -> None:
    said = engine.out("run", "--rm", "--ulimit", "nofile=99999999:99999999", BASE, "sh", "-c", "ulimit -Hn")
    assert 0 < int(said) <= 99999999


def test_an_image_for_another_processor_is_not_run_by_mistake(engine: RunningEngine) -> None:
    refused = engine.docker("create", "--platform", "linux/s390x", "--pull", "never", BASE, "true", check=False)
    assert "does not match the specified platform: wanted linux/s390x" in refused.err
    engine.docker("run", "--rm", "--platform", f"linux/{_go_architecture()}", BASE, "true")


def _go_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def test_a_network_can_be_left_out_in_the_old_way(engine: RunningEngine) -> None:
    docker = pytest.importorskip("docker")
    client = docker.APIClient(base_url=engine.host)
    body = {"Image": BASE, "Cmd": ["cat", "/proc/net/dev"], "NetworkDisabled": True}
    made = client._result(client._post_json(client._url("/containers/create"), data=body), json=True)
    try:
        client.start(made["Id"])
        client.wait(made["Id"])
        assert b"eth0" not in client.logs(made["Id"])
    finally:
        client.remove_container(made["Id"])
        client.close()


def test_images_defaults_are_merged_and_the_users_win(engine: RunningEngine) -> None:
    changes = (
        "ENV A=image B=image", "LABEL a=image b=image", "EXPOSE 80", "VOLUME /data", "WORKDIR /made/by/image",
        'ENTRYPOINT ["sh","-c"]', 'CMD ["echo image"]', "USER app", "STOPSIGNAL SIGINT",
    )  # fmt: skip
    made = engine.out("create", BASE, "true")
    engine.docker("commit", *(word for change in changes for word in ("--change", change)), made, "merged:1")
    try:
        assert engine.out("run", "--rm", "merged:1") == "image"
        assert engine.out("run", "--rm", "merged:1", "echo user; pwd; id -u").split() == [
            "user",
            "/made/by/image",
            "1000",
        ]
        assert engine.out("run", "--rm", "--entrypoint", "echo", "merged:1", "x") == "x"
        assert engine.out("run", "--rm", "-e", "A=user", "merged:1", "echo $A $B") == "user image"
        engine.docker("create", "--name", "shown", "--label", "a=user", "--expose", "81", "merged:1")
        shown = json.loads(engine.out("inspect", "shown"))[0]
        assert shown["Config"]["Labels"] == {"a": "user", "b": "image"}
        assert sorted(shown["Config"]["ExposedPorts"]) == ["80/tcp", "81/tcp"]
        assert shown["Config"]["StopSignal"] == "SIGINT"
        assert [mount["Destination"] for mount in shown["Mounts"]] == ["/data"]
    finally:
        engine.docker("rm", "-v", made, "shown", check=False)
        engine.docker("rmi", "merged:1")
