from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from riad.engine.dockerapi.image_filters import matches, until
from riad.engine.dockerapi.image_shapes import created_seconds
from riad.engine.images.changes import apply_changes
from riad.kernel.faults import Fault
from riad.oci.config import ContainerConfig, Healthcheck
from riad.oci.reference import parse_reference

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_change_lines_set_what_containers_get() -> None:
    config = apply_changes(
        ContainerConfig(env=("PATH=/bin", "A=1"), working_dir="/srv"),
        [
            "ENV A=2 B=$PATH:/x",
            'CMD ["python3"]',
            "ENTRYPOINT exec $A",
            "EXPOSE 80 53/udp",
            "LABEL a=b",
            "USER app",
            "WORKDIR sub",
            "VOLUME /data",
            "STOPSIGNAL SIGINT",
            "HEALTHCHECK --interval=5s CMD true",
            "ONBUILD RUN x",
        ],
    )
    assert config == ContainerConfig(
        env=("PATH=/bin", "A=2", "B=/bin:/x"),
        cmd=("python3",),
        entrypoint=("/bin/sh", "-c", "exec $A"),
        exposed_ports=frozenset({"80/tcp", "53/udp"}),
        labels={"a": "b"},
        user="app",
        working_dir="/srv/sub",
        volumes=frozenset({"/data"}),
        stop_signal="SIGINT",
        healthcheck=Healthcheck(("CMD-SHELL", "true"), interval=5_000_000_000),
        on_build=("RUN x",),
    )


def test_another_entrypoint_takes_the_old_ones_arguments_away() -> None:
    before = ContainerConfig(entrypoint=("/old",), cmd=("--flag",))
    assert apply_changes(before, ['ENTRYPOINT ["/new"]']).cmd is None
    assert apply_changes(before, ['CMD ["--other"]', 'ENTRYPOINT ["/new"]']).cmd == ("--other",)
    assert apply_changes(before, ["EXPOSE 8000-8002/udp"]).exposed_ports == {"8000/udp", "8001/udp", "8002/udp"}


@pytest.mark.parametrize("line", ["RUN x", "COPY a b", "FROM x", "NONSENSE", "EXPOSE x", "EXPOSE 70000", "CMD\nRUN x"])
def test_a_line_that_does_more_is_refused(line: str) -> None:
    with pytest.raises(Fault):
        apply_changes(ContainerConfig(), [line])


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("python", "python:3.11", True),
        ("python:3.*", "python:3.11", True),
        ("py*", "python:3.11", True),
        ("*", "ada/app:1", False),
        ("ada/*:1", "ada/app:1", True),
        ("docker.io/library/python", "python:3.11", True),
        ("python:[34]*", "python:3.11", True),
        ("pytho", "python:3.11", False),
        ("p.thon", "python:3.11", False),
    ],
)
def test_reference_filters_are_patterns_that_stop_at_slashes(pattern: str, name: str, fits: bool) -> None:
    assert matches(parse_reference(name), pattern) is fits


def test_until_takes_moments_and_durations() -> None:
    assert until("1h30m", NOW) == NOW - timedelta(minutes=90)
    assert until("2026-01-01T00:00:00Z", NOW) == datetime(2026, 1, 1, tzinfo=UTC)
    assert until("1767225600", NOW) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(Fault, match="until"):
        until("yesterday", NOW)


def test_an_odd_date_of_a_stranger_is_no_date() -> None:
    assert created_seconds("2026-01-01T00:00:00.123456789Z") == 1767225600
    assert created_seconds("soon") == 0
