"""Limits of containers, read back from the kernel's control groups; and changing them while a container runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine
from riad.engine.host import cgroups

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(cgroups.layout() is not cgroups.Layout.V1, reason="reads the files of cgroup v1"),
]


def _group(engine: RunningEngine, name: str, controller: str, file: str) -> str:
    pid = engine.out("inspect", "-f", "{{.State.Pid}}", name)
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return (Path("/sys/fs/cgroup") / controller / path.lstrip("/") / file).read_text().strip()
    raise AssertionError(f"{name} is in no group of {controller}")


def test_every_limit_reaches_the_kernel(engine: RunningEngine) -> None:
    flags = "-m 64m --memory-swap 128m --memory-reservation 32m --memory-swappiness 10 --cpu-shares 512 --cpus 0.5"
    flags += " --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 50 --oom-score-adj 100"
    engine.docker("run", "-d", "--name", "bound", *flags.split(), BASE, "sleep", "1000")
    wanted = {
        ("memory", "memory.limit_in_bytes"): str(64 * 2**20),
        ("memory", "memory.soft_limit_in_bytes"): str(32 * 2**20),
        ("memory", "memory.swappiness"): "10",
        ("cpu", "cpu.shares"): "512",
        ("cpu", "cpu.cfs_quota_us"): "50000",
        ("cpu", "cpu.cfs_period_us"): "100000",
        ("cpuset", "cpuset.cpus"): "0",
        ("pids", "pids.max"): "50",
    }
    assert {key: _group(engine, "bound", *key) for key in wanted} == wanted
    shown = json.loads(engine.out("inspect", "bound"))[0]["HostConfig"]
    assert (shown["NanoCpus"], shown["PidsLimit"], shown["CpusetCpus"]) == (500_000_000, 50, "0")


def test_a_running_container_gets_new_limits_at_once_and_keeps_them(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "live", "-m", "64m", "--memory-swap", "-1", BASE, "sleep", "1000")
    flags = (
        "-m 96m --memory-swap 192m --cpu-shares 300 --cpu-quota 20000 --cpuset-cpus 1 --pids-limit 9 --restart always"
    )
    assert engine.out("update", *flags.split(), "live") == "live"
    for _ in range(2):
        assert _group(engine, "live", "memory", "memory.limit_in_bytes") == str(96 * 2**20)
        assert _group(engine, "live", "cpu", "cpu.shares") == "300"
        assert _group(engine, "live", "cpu", "cpu.cfs_quota_us") == "20000"
        assert _group(engine, "live", "cpuset", "cpuset.cpus") == "1"
        assert _group(engine, "live", "pids", "pids.max") == "9"
        engine.docker("restart", "-t", "0", "live")
    engine.docker("update", "--pids-limit", "-1", "live")
    assert _group(engine, "live", "pids", "pids.max") == "max"
    shown = json.loads(engine.out("inspect", "live"))[0]["HostConfig"]
    assert (shown["RestartPolicy"]["Name"], shown["Memory"], shown["MemorySwap"]) == ("always", 96 * 2**20, 192 * 2**20)
    assert shown["PidsLimit"] == 0


def test_a_resting_container_gets_its_new_limits_when_it_starts(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "later", BASE, "sleep", "1000")
    engine.docker("update", "--cpus", "0.25", "later")
    engine.docker("start", "later")
    assert _group(engine, "later", "cpu", "cpu.cfs_quota_us") == "25000"
    refused = engine.docker("update", "--cpu-period", "5000", "later", check=False)
    assert "CPU Period cannot be updated as NanoCPUs has already been set" in refused.err


def test_an_update_is_refused_in_dockers_words(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "still", BASE, "true")
    identifier = engine.out("inspect", "-f", "{{.Id}}", "still")
    for flags, sentence in (
        (("-m", "1m"), "Minimum memory limit allowed is 6MB"),
        (
            ("-m", "64m"),
            f"Cannot update container {identifier}: Memory limit should be smaller than already set memory",
        ),
        (("--cpuset-cpus", "99"), "Requested CPUs are not available - requested 99, available: "),
        (("--restart", "sometimes"), "invalid restart policy"),
    ):
        refused = engine.docker("update", *flags, "still", check=False)
        assert refused.code == 1 and sentence in refused.err, refused
    assert "No such container: nothing" in engine.docker("update", "-m", "64m", "nothing", check=False).err


def test_block_devices_are_throttled_where_the_kernel_can(engine: RunningEngine) -> None:
    disk = next(
        (Path("/dev") / entry.name for entry in Path("/sys/block").iterdir() if (Path("/dev") / entry.name).exists()),
        None,
    )
    if disk is None or not (cgroups.ROOT / "blkio/blkio.throttle.read_bps_device").exists():
        pytest.skip("no block device, or a kernel without throttling")
    flags = [f"--device-{kind}={disk}:{rate}" for kind, rate in (("read-bps", "1mb"), ("write-iops", "100"))]
    engine.docker("run", "-d", "--name", "slow", *flags, BASE, "sleep", "1000")
    assert _group(engine, "slow", "blkio", "blkio.throttle.read_bps_device").endswith(" 1048576")
    assert _group(engine, "slow", "blkio", "blkio.throttle.write_iops_device").endswith(" 100")
    missing = engine.docker("run", "--device-read-bps=/dev/nothing:1mb", BASE, "true", check=False)
    assert "stat /dev/nothing: no such file or directory" in missing.err


def test_a_parent_group_of_the_users_own_holds_the_container(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "child", "--cgroup-parent", "riad-test-parent", BASE, "sleep", "1000")
    pid = engine.out("inspect", "-f", "{{.State.Pid}}", "child")
    identifier = engine.out("inspect", "-f", "{{.Id}}", "child")
    assert f":/riad-test-parent/{identifier}\n" in Path(f"/proc/{pid}/cgroup").read_text()
    assert engine.out("top", "child", "-o", "pid,comm").splitlines()[1].split() == [pid, "sleep"]
    engine.docker("rm", "-f", "child")
    cgroups.remove("/riad-test-parent")


def test_a_container_that_needs_too_much_memory_is_killed_and_says_so(engine: RunningEngine) -> None:
    greedy = "x=x; while :; do x=$x$x; done"
    done = engine.docker(
        "run", "--name", "greedy", "-m", "8m", "--memory-swap", "8m", BASE, "bash", "-c", greedy, check=False
    )
    assert done.code == 137
    assert engine.out("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "greedy") == "true 137"
