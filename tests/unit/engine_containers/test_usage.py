"""What control groups have used, from the kernel's files as cgroup v1 and v2 write them, and as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from riad.engine.containers.model import Container, Settings
from riad.engine.containers.stats import Sample
from riad.engine.dockerapi.container_stats import stats_shape
from riad.engine.host.usage import UNLIMITED, HostCpu, Transfer, from_v1, from_v2, host_cpu, parse_links
from riad.oci.config import ContainerConfig

_V1 = {
    ("cpuacct", "cpuacct.usage"): "5075549762\n",
    ("cpuacct", "cpuacct.usage_percpu"): "2864428215 2211121547 \n",
    ("cpuacct", "cpuacct.stat"): "user 180\nsystem 326\n",
    ("cpu", "cpu.stat"): "nr_periods 12\nnr_throttled 3\nthrottled_time 900\n",
    ("memory", "memory.usage_in_bytes"): "864256\n",
    ("memory", "memory.max_usage_in_bytes"): "4136960\n",
    ("memory", "memory.limit_in_bytes"): "9223372036854771712\n",
    ("memory", "memory.failcnt"): "7\n",
    ("memory", "memory.oom_control"): "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    ("memory", "memory.stat"): "cache 12288\ntotal_inactive_file 4096\ninactive_file 1\n",
    ("blkio", "blkio.throttle.io_service_bytes_recursive"): "254:0 Read 4096\n254:0 Write 0\nTotal 4096\n",
    ("blkio", "blkio.throttle.io_serviced_recursive"): "254:0 Read 1\nTotal 1\n",
    ("pids", "pids.current"): "2\n",
    ("pids", "pids.max"): "max\n",
}
_V2 = {
    ("", "cpu.stat"): "usage_usec 50\nuser_usec 30\nsystem_usec 20\nnr_periods 4\nnr_throttled 1\nthrottled_usec 9\n",
    ("", "memory.current"): "1048576\n",
    ("", "memory.max"): "max\n",
    ("", "memory.stat"): "anon 100\nfile 200\ninactive_file 50\n",
    ("", "memory.events"): "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n",
    ("", "io.stat"): "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
    ("", "pids.current"): "5\n",
    ("", "pids.max"): "max\n",
}


def _sample(files: dict[tuple[str, str], str], *, v2: bool) -> Sample:
    used = (from_v2 if v2 else from_v1)(lambda controller, file: files.get((controller, file)))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    container = Container("c" * 64, "web", at, "sha256:1", Settings("x", ContainerConfig()))
    return Sample(container, at, used, HostCpu(10**12, 2), parse_links(_NET_DEV))


_NET_DEV = """Inter-|   Receive        |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth0: 586 7 1 2 0 0 0 0  42 3 4 5 0 0 0 0
"""


def test_cgroup_v1_counts_are_shown_with_their_units_and_names() -> None:
    shape = stats_shape(_sample(_V1, v2=False))
    assert shape["cpu_stats"]["cpu_usage"] == {
        "total_usage": 5075549762,
        "percpu_usage": [2864428215, 2211121547],
        "usage_in_kernelmode": 3_260_000_000,
        "usage_in_usermode": 1_800_000_000,
    }
    assert shape["cpu_stats"]["throttling_data"] == {"periods": 12, "throttled_periods": 3, "throttled_time": 900}
    assert shape["memory_stats"]["max_usage"] == 4136960
    assert shape["memory_stats"]["failcnt"] == 7
    assert shape["pids_stats"] == {"current": 2}
    assert shape["blkio_stats"]["io_service_bytes_recursive"][0] == {
        "major": 254,
        "minor": 0,
        "op": "Read",
        "value": 4096,
    }
    assert shape["blkio_stats"]["sectors_recursive"] == []


def test_cgroup_v2_counts_become_nanoseconds_and_read_and_write() -> None:
    found = _sample(_V2, v2=True)
    shape = stats_shape(found)
    assert shape["cpu_stats"]["cpu_usage"] == {
        "total_usage": 50_000,
        "usage_in_kernelmode": 20_000,
        "usage_in_usermode": 30_000,
    }
    assert found.used is not None
    assert found.used.transferred == (Transfer(8, 0, "read", 10), Transfer(8, 0, "write", 20))
    assert shape["blkio_stats"]["io_serviced_recursive"] is None
    assert shape["memory_stats"]["failcnt"] == 2
    assert shape["pids_stats"] == {"current": 5, "limit": UNLIMITED}


def test_a_container_without_a_memory_limit_may_use_what_the_host_has() -> None:
    assert 0 < stats_shape(_sample(_V1, v2=False))["memory_stats"]["limit"] < 2**60


def test_the_cache_that_docker_stats_takes_off_is_named_differently_by_the_layouts() -> None:
    for files, v2, cache in ((_V1, False, 4096), (_V2, True, 50)):
        used = _sample(files, v2=v2).used
        assert used is not None and used.memory is not None and used.memory.reclaimable == cache


def test_processes_killed_for_want_of_memory_are_counted() -> None:
    for files, v2, kills in ((_V1, False, 2), (_V2, True, 1)):
        used = _sample(files, v2=v2).used
        assert used is not None and used.memory is not None and used.memory.kills == kills


def test_what_does_not_run_shows_its_name_and_nothing_else() -> None:
    resting = Sample(_sample(_V1, v2=False).container, datetime(2026, 1, 1, tzinfo=UTC))
    shape = stats_shape(resting, resting)
    assert shape["name"] == "/web"
    assert shape["read"] == shape["preread"] == "0001-01-01T00:00:00Z"
    assert (shape["memory_stats"], shape["pids_stats"], "networks" in shape) == ({}, {}, False)
    assert shape["cpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_a_later_sample_carries_the_earlier_ones_processor_times() -> None:
    found = _sample(_V1, v2=False)
    assert stats_shape(found)["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert stats_shape(found, found)["precpu_stats"] == stats_shape(found)["cpu_stats"]


def test_interfaces_are_counted_without_the_loopback() -> None:
    links = parse_links(_NET_DEV)
    assert list(links) == ["eth0"]
    assert (links["eth0"].rx_bytes, links["eth0"].tx_bytes, links["eth0"].tx_dropped) == (586, 42, 5)


def test_processor_time_of_the_host_leaves_out_steal_and_guests() -> None:
    found = host_cpu("cpu  1 2 3 4 5 6 7 100 100 100\ncpu0 1\ncpu1 1\nintr 5\n")
    assert found.online == 2
    assert found.total == 28 * 10_000_000


def test_a_group_that_has_gone_counts_nothing() -> None:
    for convert in (from_v1, from_v2):
        used = convert(lambda controller, file: None)
        assert (used.cpu.total, used.memory, used.transferred, used.pids) == (0, None, (), 0)
