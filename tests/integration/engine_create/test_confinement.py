"""What a container was asked to be confined by, seen from inside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


def test_a_profile_of_the_users_own_is_what_the_kernel_filters_by(engine: RunningEngine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    said = engine.docker(
        "run", "--rm", "--security-opt", f"seccomp={profile}", BASE, "sh", "-c", "touch /x; mkdir /y", check=False
    )
    assert said.code != 0
    assert "No locks available" in said.err
    only = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_ADMIN"]}}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [only]}))
    options = ("--security-opt", f"seccomp={profile}", "--cap-add", "SYS_ADMIN")
    assert engine.docker("run", "--rm", *options, BASE, "mkdir", "/y").code == 0


def test_paths_of_the_kernel_are_masked_unless_asked_otherwise(engine: RunningEngine) -> None:
    masked = engine.out("run", "--rm", BASE, "grep", "-c", " /proc/", "/proc/self/mountinfo")
    assert int(masked) > 5
    opened = engine.docker(
        "run", "--rm", "--security-opt", "systempaths=unconfined", BASE, "grep", "-c", " /proc/",
        "/proc/self/mountinfo", check=False,
    )  # fmt: skip
    assert opened.out.strip() == "0"


def test_a_domain_name_reaches_the_kernel(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "--hostname", "box", "--domainname", "example.org", BASE, "cat",
        "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname",
    )  # fmt: skip
    assert said.splitlines() == ["box", "example.org"]


def test_shared_memory_is_shared_only_by_those_that_said_so(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "donor", "--ipc", "shareable", "--shm-size", "8m", BASE, "sleep", "600")
    engine.docker("run", "-d", "--name", "miser", BASE, "sleep", "600")
    try:
        engine.docker("exec", "donor", "sh", "-c", "echo shared > /dev/shm/note")
        assert engine.out("run", "--rm", "--ipc", "container:donor", BASE, "cat", "/dev/shm/note") == "shared"
        assert "size=8192k" in engine.out(
            "run", "--rm", "--ipc", "container:donor", BASE, "grep", "shm", "/proc/mounts"
        )
        refused = engine.docker("run", "--rm", "--ipc", "container:miser", BASE, "true", check=False)
        assert refused.code == 125
        assert "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in refused.err
        held = engine.root / "run" / "held"
        assert [folder.name for folder in held.iterdir()] == [engine.out("inspect", "-f", "{{.Id}}", "donor")]
    finally:
        engine.docker("rm", "-f", "donor", "miser")
    assert not list(held.iterdir())
    none = engine.docker("run", "--rm", "--ipc", "none", BASE, "grep", " /dev/shm ", "/proc/mounts", check=False)
    assert none.out == ""


def test_namespaces_of_the_host_and_of_others_are_joined(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "other", "--hostname", "theirs", BASE, "sleep", "600")
    try:
        pid = engine.out("inspect", "-f", "{{.State.Pid}}", "other")
        for option, kind in (("--pid", "pid"), ("--network", "net")):
            inside = engine.out("run", "--rm", option, "container:other", BASE, "readlink", f"/proc/self/ns/{kind}")
            assert inside == os.readlink(f"/proc/{pid}/ns/{kind}")
        assert engine.out("run", "--rm", "--network", "container:other", BASE, "hostname") == "theirs"
        for option, kind in (("--pid", "pid"), ("--uts", "uts"), ("--ipc", "ipc"), ("--cgroupns", "cgroup")):
            inside = engine.out("run", "--rm", option, "host", BASE, "readlink", f"/proc/self/ns/{kind}")
            assert inside == os.readlink(f"/proc/self/ns/{kind}")
        private = engine.out("run", "--rm", "--cgroupns", "private", BASE, "readlink", "/proc/self/ns/cgroup")
        assert private != os.readlink("/proc/self/ns/cgroup")
    finally:
        engine.docker("rm", "-f", "other")


def test_sysctls_of_the_containers_own_namespaces_are_set(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "--sysctl", "net.ipv4.ip_forward=0", "--sysctl", "kernel.msgmax=4096", BASE, "cat",
        "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax",
    )  # fmt: skip
    assert said.splitlines() == ["0", "4096"]
    refused = engine.docker(
        "run", "--rm", "--network", "host", "--sysctl", "net.ipv4.ip_forward=1", BASE, "true", check=False
    )
    assert "not allowed in host network namespace" in refused.err
    assert refused.code != 0


def test_links_give_names_and_tell_of_ports(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "db", "--expose", "5432", "-e", "USER=me", BASE, "sleep", "600")
    try:
        address = engine.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db")
        said = engine.out("run", "--rm", "--name", "web", "--link", "db:pg", BASE, "sh", "-c", "env; cat /etc/hosts")
        assert f"PG_PORT_5432_TCP=tcp://{address}:5432" in said
        assert "PG_NAME=/web/pg" in said
        assert "PG_ENV_USER=me" in said
        assert f"{address}\tpg" in said
        engine.docker("create", "--name", "web", "--link", "db:pg", BASE, "true")
        assert engine.out("inspect", "-f", "{{json .HostConfig.Links}}", "web") == '["/db:/web/pg"]'
        missing = engine.docker("create", "--link", "nosuch:x", BASE, "true", check=False)
        assert "could not get container for nosuch" in missing.err
        engine.docker("run", "-d", "--name", "follows", "--link", "db:pg", BASE, "sleep", "600")
        engine.docker("stop", "-t", "0", "db")
        taken = engine.out("run", "-d", BASE, "sleep", "600")
        engine.docker("start", "db")
        moved = engine.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db")
        assert f"{moved}\tpg" in engine.out("exec", "follows", "cat", "/etc/hosts")
        engine.docker("rm", "-f", "follows", taken)
        engine.docker("stop", "-t", "0", "db")
        stopped = engine.docker("start", "web", check=False)
        assert "Cannot link to a non running container: /db AS /web/pg" in stopped.err
        engine.docker("rm", "--link", "web/pg")
        assert engine.out("inspect", "-f", "{{json .HostConfig.Links}}", "web") == "null"
        engine.docker("start", "web")
        assert "No such link: /web/pg" in engine.docker("rm", "--link", "web/pg", check=False).err
    finally:
        engine.docker("rm", "-f", "db", "web")
