"""What a new container may not ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from riad.engine.containers.checks import check
from riad.engine.containers.model import HostSettings, RestartPolicy, Settings
from riad.engine.networks.model import PortBinding
from riad.kernel.faults import Fault, Kind
from riad.oci.config import ContainerConfig, Healthcheck

_ASKED = Settings(image="i", config=ContainerConfig())


def _host(**changes: Any) -> Settings:
    return replace(_ASKED, host=HostSettings(**changes))


def _config(**changes: Any) -> Settings:
    return replace(_ASKED, config=ContainerConfig(**changes))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (_config(working_dir="a"), "the working directory 'a' is invalid, it needs to be an absolute path"),
        (_config(env=("=x",)), "invalid environment variable: =x"),
        (_config(stop_signal="NOPE"), "invalid signal: NOPE"),
        (_config(healthcheck=Healthcheck(("NONE",), interval=5)), "Interval in Healthcheck cannot be less than 1ms"),
        (_config(healthcheck=Healthcheck(("NONE",), retries=-1)), "Retries in Healthcheck cannot be negative"),
        (_config(healthcheck=Healthcheck(("WHAT",))), "Unknown healthcheck type 'WHAT' in healthcheck"),
        (_config(exposed_ports=frozenset({"http"})), 'invalid exposed port "http": expected PORT/tcp or PORT/udp'),
        (_host(ipc_mode="what"), "invalid IPC mode: what"),
        (_host(pid_mode="private"), "invalid PID mode: private"),
        (_host(uts_mode="container:x"), "invalid UTS mode: container:x"),
        (_host(cgroupns_mode="x"), "invalid cgroup namespace mode: x"),
        (_host(network_mode="container:"), "invalid network mode: invalid container format container:<name|id>"),
        (
            _host(network_mode="container:a", ports=(PortBinding(80),)),
            "conflicting options: port publishing and the container type network mode",
        ),
        (_host(network_mode="container:a", dns=("1.1.1.1",)), "conflicting options: dns and the network mode"),
        (replace(_host(uts_mode="host"), hostname="a"), "conflicting options: hostname and the UTS mode"),
        (
            replace(_host(network_mode="host"), mac="02:00:00:00:00:01"),
            "conflicting options: mac-address and the network mode",
        ),
        (
            _host(auto_remove=True, restart=RestartPolicy("always")),
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            _host(annotations={"": "x"}),
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_dockers_words(asked: Settings, sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        check(asked)
    assert (caught.value.kind, caught.value.message) == (Kind.INVALID, sentence)


@pytest.mark.parametrize(
    "asked",
    [
        _host(ipc_mode="container:a"),
        _host(network_mode="host", uts_mode="host"),
        _config(exposed_ports=frozenset({"80"})),
    ],
)
def test_what_makes_sense_is_let_through(asked: Settings) -> None:
    check(asked)
