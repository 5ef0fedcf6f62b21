"""`docker events` by the stock CLI: order, attributes, filters, replay."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root


def _told(engine: RunningEngine, since: float, *filters: str) -> list[dict[str, Any]]:
    flags = [flag for text in filters for flag in ("--filter", text)]
    until = f"{time.time() + 1:.3f}"
    lines = engine.out("events", "--since", f"{since:.6f}", "--until", until, "--format", "{{json .}}", *flags)
    return [json.loads(line) for line in lines.splitlines()]


def test_a_stopped_containers_events_come_in_dockers_order(engine: RunningEngine) -> None:
    since = time.time()
    engine.docker("run", "-d", "--name", "told", "-v", "told-data:/data", "--label", "team=blue", BASE, "sleep", "1000")
    engine.docker("stop", "-t", "0", "told")
    engine.docker("rm", "told")
    found = [event for event in _told(engine, since) if event["Type"] != "image"]
    assert [f"{event['Type']} {event['Action']}" for event in found] == [
        "volume create",
        "container create",
        "network connect",
        "volume mount",
        "container start",
        "container kill",
        *(["container kill"] if len(found) == 12 else []),
        "network disconnect",
        "volume unmount",
        "container stop",
        "container die",
        "container destroy",
    ]
    died = next(event for event in found if event["Action"] == "die")["Actor"]
    assert died["Attributes"]["exitCode"] == "137"
    assert died["Attributes"].items() >= {"image": BASE, "name": "told", "team": "blue", "execDuration": "0"}.items()
    mounted = next(event for event in found if event["Action"] == "mount")["Actor"]
    assert mounted["ID"] == "told-data"
    assert mounted["Attributes"] == {
        "container": died["ID"],
        "destination": "/data",
        "driver": "local",
        "propagation": mounted["Attributes"]["propagation"],
        "read/write": "true",
    }
    connected = next(event for event in found if event["Action"] == "connect")["Actor"]
    assert connected["Attributes"] == {"container": died["ID"], "name": "bridge", "type": "bridge"}
    assert [event["Action"] for event in _told(engine, since, "container=told", "event=die")] == ["die"]
    assert [event["Type"] for event in _told(engine, since, "volume=told-data", "event=mount")] == ["volume"]


def test_events_survive_the_daemon(engine: RunningEngine) -> None:
    since = time.time()
    engine.docker("create", "--name", "before", BASE, "true")
    engine.stop()
    engine.start()
    assert [event["Action"] for event in _told(engine, since, "container=before")] == ["create"]


def test_a_build_makes_an_image_and_its_events_carry_its_labels(engine: RunningEngine, tmp_path: Path) -> None:
    since = time.time()
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nLABEL team=blue\n")
    environ = {**engine.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(["docker", "build", "-q", "-t", "told:1", tmp_path], env=environ, capture_output=True, check=True)
    engine.docker("rmi", "told:1")
    found = _told(engine, since, "type=image")
    assert [event["Action"] for event in found] == ["create", "tag", "untag", "delete"]
    assert all(event["Actor"]["Attributes"]["team"] == "blue" for event in found[:2])
    assert found[1]["Actor"]["Attributes"]["name"] == "told:1"
    old = docker.APIClient(base_url=engine.host, version="1.45")
    filters = {"type": "image", "image": found[0]["Actor"]["ID"]}
    seen = old.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
    assert [event["Action"] for event in seen] == ["tag", "untag", "delete"]
    old.close()


def test_every_prune_tells_what_it_freed(engine: RunningEngine) -> None:
    since = time.time()
    for kind in ("container", "network", "volume", "image", "builder"):
        engine.docker(kind, "prune", "-f")
    found = {event["Type"]: event["Actor"]["Attributes"] for event in _told(engine, since, "event=prune")}
    assert set(found) == {"container", "network", "volume", "image", "builder"}
    assert all(attributes["reclaimed"].isdigit() for attributes in found.values())


def test_lack_of_memory_is_told_while_the_container_runs_on(engine: RunningEngine) -> None:
    since = time.time()
    script = 'bash -c "x=x; while :; do x=\\$x\\$x; done"; sleep 1000'
    engine.docker("run", "-d", "--name", "greedy", "-m", "16m", "--memory-swap", "16m", BASE, "sh", "-c", script)
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.OOMKilled}} {{.State.Running}}", "greedy") == "true true")
    assert [event["Action"] for event in _told(engine, since, "container=greedy", "event=oom")] == ["oom"]


def test_since_after_until_and_unknown_filters_are_refused(engine: RunningEngine) -> None:
    refused = engine.docker("events", "--since", "2000000000", "--until", "1", check=False)
    assert "`since` time (2000000000) cannot be after `until` time (1)" in refused.err
    assert "invalid filter 'odd'" in engine.docker("events", "--filter", "odd=x", "--until", "1", check=False).err
