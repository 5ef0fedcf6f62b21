"""Reading what clients send: bodies, filters, moments; and what is said back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from riad.engine.containers.health import Health
from riad.engine.containers.model import Container, Phase, Run, Settings
from riad.engine.dockerapi import errors, wire
from riad.engine.dockerapi.container_shapes.listing import human_duration, status_text
from riad.engine.dockerapi.create_body.settings import read_settings
from riad.engine.dockerapi.filters import parse_filters
from riad.engine.dockerapi.streams import frame
from riad.kernel.faults import Fault, Kind
from riad.oci.config import ContainerConfig

_NOW = datetime(2024, 5, 1, tzinfo=UTC)


def test_every_kind_of_fault_has_a_status() -> None:
    assert set(errors.STATUS) == set(Kind)


@pytest.mark.parametrize("text", ['{"label":{"a=b":true,"c":false}}', '{"label":["a=b"]}'])
def test_both_forms_of_filters_mean_the_same(text: str) -> None:
    assert parse_filters(text, known={"label"}).get("label") == ("a=b",)


@pytest.mark.parametrize("text", ["x", "[]", '{"label":"a"}', '{"odd":["a"]}', "[" * 100_000])
def test_filters_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Fault, match="invalid filter"):
        parse_filters(text, known={"label"})


@pytest.mark.parametrize(
    "text", ["1714521600", "1714521600.000", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00.000000000Z"]
)
def test_moments_are_read_in_all_forms(text: str) -> None:
    assert wire.parse_moment(text, name="since") == _NOW


def test_moments_are_written_as_go_does() -> None:
    assert wire.moment(None) == "0001-01-01T00:00:00Z"
    assert wire.moment(_NOW + timedelta(milliseconds=120)) == "2024-05-01T00:00:00.12Z"


def test_a_frame_is_its_stream_and_length_and_data() -> None:
    assert frame(2, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"),
        (86400 * 100, "3 months"),
        (86400 * 1000, "2 years"),
    ],
)
def test_durations_are_said_as_docker_says_them(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def _container(phase: Phase, **run: object) -> Container:
    return Container("i", "n", _NOW, "x", Settings("i", ContainerConfig()), phase=phase, run=Run(**run))  # type: ignore[arg-type]


def test_status_texts() -> None:
    running = _container(Phase.RUNNING, started_at=_NOW - timedelta(seconds=3))
    assert status_text(running, now=_NOW) == "Up 3 seconds"
    assert status_text(running, Health(), now=_NOW) == "Up 3 seconds (health: starting)"
    ended = _container(Phase.EXITED, exit_code=2, finished_at=_NOW - timedelta(hours=5))
    assert status_text(ended, now=_NOW) == "Exited (2) 5 hours ago"
    assert status_text(_container(Phase.CREATED), now=_NOW) == "Created"


def test_what_the_cli_sends_for_nothing_asked_is_accepted() -> None:
    found = read_settings(
        {
            "Image": "x",
            "Cmd": None,
            "HostConfig": {
                "NetworkMode": "default",
                "Links": [],
                "BlkioWeightDevice": [],
                "DeviceRequests": None,
                "MemorySwappiness": -1,
                "StorageOpt": {},
                "CpuCount": 0,
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            },
            "NetworkingConfig": {"EndpointsConfig": {"default": None}},
        }
    )
    assert found.host.network_mode == "default"


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ({"StorageOpt": {"size": "1g"}}, "--storage-opt is supported only for overlay over xfs with 'pquota'"),
        ({"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, "could not select device driver"),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["a"]}]}, "unresolvable CDI devices"),
        ({"BlkioDeviceReadBps": [{}]}, "HostConfig/BlkioDeviceReadBps"),
        ({"Nonsense": 1}, "HostConfig/Nonsense"),
        ({"Mounts": [{"Type": "npipe", "Target": "/x"}]}, "npipe"),
        ({"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/x", "BindOptions": {"Odd": 1}}]}, "BindOptions/Odd"),
        ({"Mounts": ["x"]}, "HostConfig/Mounts/0"),
        ({"Memory": "1g"}, "HostConfig/Memory"),
        ({"PortBindings": {"x/tcp": []}}, "x/tcp"),
        ({"Ulimits": [{"Name": "odd"}]}, "odd"),
        ({"RestartPolicy": {"Name": "sometimes"}}, "sometimes"),
        ({"LogConfig": {"Type": "splunk"}}, "splunk"),
        ({"LogConfig": {"Type": "json-file", "Config": {"odd": "x"}}}, "odd"),
        ({"UsernsMode": "keep-id"}, "invalid user namespace mode: keep-id"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(host: dict[str, object], named: str) -> None:
    with pytest.raises(Fault) as refused:
        read_settings({"Image": "x", "HostConfig": host})
    assert named in refused.value.message
