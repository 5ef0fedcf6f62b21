"""The flags of `riad docker update`, and what they ask of the engine."""

from __future__ import annotations

import click
import pytest

from riad.cli.docker.mountflag import read_mount
from riad.cli.docker.portflag import read_publish
from riad.cli.docker.update import parse, port_changes, recreation
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [("80/tcp", {"HostIp": "", "HostPort": ""})]),
        ("8080:80", [("80/tcp", {"HostIp": "", "HostPort": "8080"})]),
        ("8080:80/udp", [("80/udp", {"HostIp": "", "HostPort": "8080"})]),
        ("127.0.0.1:8080:80", [("80/tcp", {"HostIp": "127.0.0.1", "HostPort": "8080"})]),
        ("127.0.0.1::80", [("80/tcp", {"HostIp": "127.0.0.1", "HostPort": ""})]),
        ("[::1]:8080:80", [("80/tcp", {"HostIp": "::1", "HostPort": "8080"})]),
        ("8000-8010:80", [("80/tcp", {"HostIp": "", "HostPort": "8000-8010"})]),
        (
            "8000-8001:80-81",
            [("80/tcp", {"HostIp": "", "HostPort": "8000"}), ("81/tcp", {"HostIp": "", "HostPort": "8001"})],
        ),
    ],
)
def test_ports_are_read_as_the_docker_command_reads_them(text: str, expected: object) -> None:
    assert read_publish(text) == expected


@pytest.mark.parametrize("text", ["", "x", "80:", "1-2:3-5", "70000", "8080:0", "a:80", "90-80:80", "80/", "::80:"])
def test_ports_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Fault):
        read_publish(text)


def test_mounts_are_read_as_the_docker_command_reads_them() -> None:
    assert read_mount("type=bind,src=/a,dst=/b,readonly") == {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
    }
    assert read_mount("source=data,target=/d,volume-nocopy=true") == {
        "Type": "volume",
        "Source": "data",
        "Target": "/d",
        "VolumeOptions": {"NoCopy": True},
    }
    assert read_mount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777") == {
        "Type": "tmpfs",
        "Target": "/t",
        "TmpfsOptions": {"SizeBytes": 64 << 20, "Mode": 0o1777},
    }
    for text in ("", "type=bind", "target=/a,nonsense=1", "target=/a,readonly=maybe", "target=/a,tmpfs-size=big"):
        with pytest.raises(Fault):
            read_mount(text)


def test_our_flags_and_dockers_stand_beside_each_other() -> None:
    asked = parse(["-p8081:80", "--publish-rm", "8080", "--memory", "1g", "--restart=no", "-e", "A=b", "web", "db"])
    assert asked.names == ["web", "db"]
    assert asked.stock == ["--memory", "1g", "--restart", "no"]
    assert port_changes(asked) == {
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8081"}]},
        "Remove": ["8080"],
    }
    assert recreation(asked)["Env"] == ["A=b"]


def test_without_a_flag_of_ours_nothing_is_asked_of_the_engine() -> None:
    asked = parse(["--memory", "1g", "web"])
    assert not asked.values
    assert port_changes(asked) == recreation(asked) == {}


@pytest.mark.parametrize("arguments", [["--publish"], ["web", "--env"]])
def test_a_flag_without_its_value_is_named(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError, match="needs a value"):
        parse(arguments)


def test_variables_are_set_with_a_value_and_taken_away_by_name() -> None:
    with pytest.raises(click.UsageError, match="--env-rm takes a variable away"):
        recreation(parse(["--env", "A", "web"]))
    with pytest.raises(click.UsageError, match="name the variable alone"):
        recreation(parse(["--env-rm", "A=b", "web"]))
