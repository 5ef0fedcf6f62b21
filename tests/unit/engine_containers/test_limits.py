"""Limits as asked become limits as set, warned about or refused, in Docker's sentences; and what `update` changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riad.engine.containers.limits import numbers, settle
from riad.engine.containers.model import HostSettings, RestartPolicy
from riad.engine.containers.spec import DeviceValue, Host, Resources, resources_spec
from riad.engine.containers.update import Wish, merged
from riad.engine.dockerapi.container_update import read_wish
from riad.engine.host.abilities import Abilities, of_v1, of_v2
from riad.kernel.faults import Fault, Kind

_M = 2**20
_ABLE = Abilities(cpus="0-1", mems="0", processors=2)
_UNABLE = Abilities(*[False] * 16, cpus="", mems="", processors=2)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (Resources(memory=5 * _M), "Minimum memory limit allowed is 6MB"),
        (Resources(memory=-1), "Minimum memory limit allowed is 6MB"),
        (
            Resources(memory=8 * _M, memory_swap=7 * _M),
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            Resources(memory_swap=8 * _M),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (Resources(swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (Resources(memory_reservation=_M), "Minimum memory reservation allowed is 6MB"),
        (
            Resources(memory=8 * _M, memory_reservation=9 * _M),
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            Resources(cpu_period=999),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (Resources(cpu_quota=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (Resources(cpu_shares=-1), "invalid CPU shares (-1): value must be a positive integer"),
        (Resources(cpuset_cpus="0-7"), "Requested CPUs are not available - requested 0-7, available: 0-1"),
        (Resources(cpuset_mems="1"), "Requested memory nodes are not available - requested 1, available: 0"),
        (Resources(cpuset_cpus="x"), "Invalid value x for cpuset cpus: invalid format: x"),
        (Resources(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
        (
            Resources(realtime_period=1000, realtime_runtime=2000),
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ),
    ],
)
def test_limits_that_make_no_sense_are_refused(asked: Resources, sentence: str) -> None:
    with pytest.raises(Fault) as refused:
        settle(asked, 0, _ABLE)
    assert (refused.value.kind, refused.value.message) == (Kind.INVALID, sentence)


@pytest.mark.parametrize(
    ("asked", "nano", "sentence"),
    [
        (Resources(cpu_period=5000), 10**9, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (Resources(cpu_quota=5000), 10**9, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (Resources(), 3 * 10**9, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        (Resources(), -1, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
    ],
)
def test_shares_of_processors_fit_the_host(asked: Resources, nano: int, sentence: str) -> None:
    with pytest.raises(Fault) as refused:
        settle(asked, nano, _ABLE)
    assert refused.value.message == sentence


def test_what_the_kernel_lacks_is_discarded_with_a_warning_each() -> None:
    device = (DeviceValue("/dev/vda", 5),)
    asked = Resources(
        memory=8 * _M,
        swappiness=5,
        memory_reservation=7 * _M,
        kernel_memory=9 * _M,
        oom_kill_disable=True,
        pids=5,
        cpu_shares=2,
        cpu_period=5000,
        cpu_percent=5,
        cpuset_cpus="0",
        blkio_weight=100,
        blkio_weight_devices=device,
        read_bps=device,
        write_bps=device,
        read_iops=device,
        write_iops=device,
    )
    settled = settle(asked, 0, _UNABLE)
    assert settled.resources == Resources(memory_swap=-1)
    assert len(settled.warnings) == 16
    assert all("discarded" in sentence for sentence in settled.warnings)
    assert settled.warnings[0] == (
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
    )
    assert "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded." in settled.warnings


def test_without_swap_accounting_memory_is_limited_alone() -> None:
    settled = settle(Resources(memory=8 * _M), 0, replace(_ABLE, swap=False))
    assert settled.resources.memory_swap == -1
    assert settled.warnings == (
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap.",
    )


def test_memory_alone_brings_as_much_swap_again() -> None:
    settled = settle(Resources(memory=8 * _M), 0, _ABLE)
    assert settled.resources.memory_swap == 16 * _M
    assert settled.resources.oom_kill_disable is False
    assert settled.warnings == ()


def test_a_container_that_cannot_be_killed_for_memory_without_a_limit_is_warned_about() -> None:
    assert "OOM killer is disabled" in settle(Resources(oom_kill_disable=True), 0, _ABLE).warnings[0]


def test_lists_of_processors_are_read_as_the_kernel_writes_them() -> None:
    assert numbers("0-2,7") == {0, 1, 2, 7}
    assert numbers("") == frozenset()
    for wrong in ("2-1", "a", "-1", "1-", "0-99999999"):
        with pytest.raises(ValueError):
            numbers(wrong)


def test_each_layout_of_control_groups_tells_what_it_can() -> None:
    files = {"memory/memory.limit_in_bytes", "cpu/cpu.shares", "blkio/blkio.throttle.read_bps_device"}
    found = of_v1(files.__contains__, read={"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n"}.get)
    assert (found.memory, found.swap, found.cpu_shares, found.cpu_cfs) == (True, False, True, False)
    assert (found.blkio_read_bps, found.blkio_weight, found.cpus) == (True, False, "0-3")
    found = of_v2(
        frozenset({"memory", "cpu", "io"}), swap=True, weight=True, read={"cpuset.cpus.effective": "0-1\n"}.get
    )
    assert (found.memory, found.swap, found.swappiness, found.cpu_realtime) == (True, True, False, False)
    assert (found.blkio_weight, found.pids, found.cpus) == (True, False, "0-1")


def test_limits_of_block_devices_reach_the_runtime_by_number() -> None:
    limits = Resources(blkio_weight=50, read_bps=(DeviceValue("/dev/vda", 1000, 254, 0),), realtime_period=1000)
    assert resources_spec(limits, Host()) == {
        "cpu": {"realtimePeriod": 1000},
        "blockIO": {"weight": 50, "throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1000}]},
    }


def test_an_update_changes_what_it_names_and_keeps_the_rest() -> None:
    before = HostSettings(resources=Resources(memory=8 * _M, memory_swap=64 * _M, cpu_shares=5))
    wish = read_wish({"Memory": 16 * _M, "CpuShares": 0, "PidsLimit": 7, "Ulimits": None, "RestartPolicy": {}})
    after = merged(before, wish)
    assert after.resources == Resources(memory=16 * _M, memory_swap=64 * _M, cpu_shares=5, pids=7)
    assert after.restart == before.restart
    unlimited = merged(after, read_wish({"PidsLimit": 0, "RestartPolicy": {"Name": "always"}}))
    assert (unlimited.resources.pids, unlimited.restart) == (-1, RestartPolicy("always"))


@pytest.mark.parametrize(
    ("before", "wish", "sentence"),
    [
        (
            HostSettings(),
            Wish(Resources(memory=8 * _M)),
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (
            HostSettings(resources=Resources(cpu_period=1000)),
            Wish(nano_cpus=10**9),
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            HostSettings(nano_cpus=10**9),
            Wish(Resources(cpu_quota=5000)),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            HostSettings(auto_remove=True),
            Wish(restart=RestartPolicy("always")),
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ),
    ],
)
def test_an_update_that_contradicts_what_is_set_is_a_conflict(before: HostSettings, wish: Wish, sentence: str) -> None:
    with pytest.raises(Fault) as refused:
        merged(before, wish)
    assert (refused.value.kind, refused.value.message) == (Kind.CONFLICT, sentence)


def test_an_update_refuses_by_name_what_only_a_new_container_can_have() -> None:
    with pytest.raises(Fault, match="BlkioDeviceReadBps"):
        read_wish({"BlkioDeviceReadBps": [{"Path": "/dev/vda", "Rate": 1}]})
    with pytest.raises(Fault, match="Binds"):
        read_wish({"Binds": ["/a:/b"]})
