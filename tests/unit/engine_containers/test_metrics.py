"""What Prometheus is told: the text format, and containers in cAdvisor's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from riad.engine.containers.model import Container, Run, Settings
from riad.engine.containers.stats import Sample
from riad.engine.dockerapi.metrics import parse_address
from riad.engine.host.usage import Cpu, Link, Memory, Transfer, Usage
from riad.engine.metrics.containers import Seen, families, seen
from riad.engine.metrics.exposition import Family, Value, label_name, render
from riad.engine.metrics.timings import Timings
from riad.kernel.faults import Fault
from riad.oci.config import ContainerConfig

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_USED = Usage(
    cpu=Cpu(total=1_500_000_000, kernel=500_000_000, user=10**9),
    memory=Memory(used=1000, limit=2**63, details={"total_inactive_file": 300, "total_rss": 400}),
    transferred=(Transfer(8, 0, "Read", 10), Transfer(8, 0, "write", 20), Transfer(8, 0, "Sync", 30)),
    pids=3,
)


def _seen(**labels: str) -> Seen:
    config = ContainerConfig(labels=labels)
    container = Container("c" * 64, "web", _AT, "sha256:1", Settings("app:1", config), run=Run(started_at=_AT))
    return seen("/riad/ccc", Sample(container, _AT, _USED, None, {"eth0": Link(1, 2, 3, 4, 5, 6, 7, 8)}), 4096)


def _text(*running: Seen) -> list[str]:
    return render(families(running)).splitlines()


def test_a_container_is_told_of_as_cadvisor_does() -> None:
    lines = _text(_seen(**{"com.example/team": 'a"b\\c\nd'}))
    own = 'id="/riad/ccc",name="web",image="app:1",container_label_com_example_team="a\\"b\\\\c\\nd"'
    for line in (
        f'container_cpu_usage_seconds_total{{{own},cpu="total"}} 1.5',
        f"container_memory_working_set_bytes{{{own}}} 700",
        f"container_memory_rss{{{own}}} 400",
        f"container_spec_memory_limit_bytes{{{own}}} 0",
        f'container_network_receive_bytes_total{{{own},interface="eth0"}} 1',
        f'container_network_transmit_packets_dropped_total{{{own},interface="eth0"}} 8',
        f"container_fs_usage_bytes{{{own}}} 4096",
        f'container_fs_reads_bytes_total{{{own},device="8:0"}} 10',
        f'container_fs_writes_bytes_total{{{own},device="8:0"}} 20',
        f"container_threads{{{own}}} 3",
        f"container_last_seen{{{own}}} {int(_AT.timestamp())}",
        f"container_start_time_seconds{{{own}}} {int(_AT.timestamp())}",
    ):
        assert line in lines, line
    assert "# TYPE container_cpu_usage_seconds_total counter" in lines


def test_labels_that_become_the_same_are_told_once() -> None:
    line = next(line for line in _text(_seen(**{"a.b": "1", "a-b": "2"})) if line.startswith("container_last_seen"))
    assert line.count("container_label_a_b") == 1


def test_what_was_not_measured_is_left_out() -> None:
    unmeasured = replace(_seen(), written=None)
    assert not any(line.startswith("container_fs_usage_bytes") for line in _text(unmeasured))
    assert render([Family("empty", "nothing", "gauge", ())]) == "\n"


def test_numbers_and_names_are_as_prometheus_reads_them() -> None:
    assert render([Family("x", "a\nb", "gauge", (Value({}, 2.0), Value({"l": "v"}, 0.25)))]).splitlines() == [
        "# HELP x a\\nb",
        "# TYPE x gauge",
        "x 2",
        'x{l="v"} 0.25',
    ]
    assert label_name("a.b/c-d_1é") == "a_b_c_d_1_"


def test_verbs_are_told_of_as_histograms_whose_buckets_add_up() -> None:
    timings = Timings()
    for seconds in (0.001, 0.3, 99.0):
        timings.took("start", seconds)
    lines = [line for line in render([timings.family()]).splitlines() if 'action="start"' in line]
    name = "engine_daemon_container_actions_seconds"
    assert lines[0] == f'{name}_bucket{{action="start",le="0.005"}} 1'
    assert f'{name}_bucket{{action="start",le="0.5"}} 2' in lines
    assert f'{name}_bucket{{action="start",le="1"}} 2' in lines
    assert lines[-3:] == [
        f'{name}_bucket{{action="start",le="+Inf"}} 3',
        f'{name}_sum{{action="start"}} 99.301',
        f'{name}_count{{action="start"}} 3',
    ]


def test_an_address_for_metrics_names_host_and_port() -> None:
    assert parse_address("127.0.0.1:9323") == ("127.0.0.1", 9323)
    assert parse_address("[::1]:9323") == ("::1", 9323)
    for wrong in ("9323", "localhost", "a:b", "a:0", "a:99999"):
        with pytest.raises(Fault, match="expected HOST:PORT"):
            parse_address(wrong)
