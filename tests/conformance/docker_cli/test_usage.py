"""What a container uses and what it changed: stats, diff, export, sizes, by the stock clients."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root


def test_stats_without_a_stream_shows_two_samples(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "busy", BASE, "sh", "-c", "while :; do :; done")
    client = docker.APIClient(base_url=engine.host)
    found = client.stats("busy", stream=False)
    assert found["name"] == "/busy"
    before, after = found["precpu_stats"], found["cpu_stats"]
    assert 0 < before["cpu_usage"]["total_usage"] < after["cpu_usage"]["total_usage"]
    assert before["system_cpu_usage"] < after["system_cpu_usage"]
    assert found["memory_stats"]["usage"] > 0
    assert found["pids_stats"]["current"] == 1
    assert found["networks"]["eth0"]["tx_bytes"] >= 0
    once = client.stats("busy", stream=False, one_shot=True)
    assert once["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    client.close()


def test_a_stream_goes_on_with_the_name_alone_while_the_container_rests(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "pausing", BASE, "sleep", "1000")
    client = docker.APIClient(base_url=engine.host)
    stream = client.stats("pausing", decode=True)
    assert next(stream)["memory_stats"]["usage"] > 0
    engine.docker("stop", "-t", "0", "pausing")
    rested = next(found for found in stream if not found["memory_stats"])
    assert (rested["name"], rested["read"], rested["pids_stats"]) == ("/pausing", "0001-01-01T00:00:00Z", {})
    engine.docker("start", "pausing")
    assert next(found for found in stream if found["memory_stats"])["pids_stats"]["current"] >= 1
    client.close()


def test_networks_are_counted_where_the_container_has_its_own_or_anothers(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "owner", BASE, "sleep", "1000")
    for name, mode in (("joined", "container:owner"), ("hosted", "host"), ("alone", "none")):
        engine.docker("run", "-d", "--name", name, "--network", mode, BASE, "sleep", "1000")
    client = docker.APIClient(base_url=engine.host)
    seen = {name: client.stats(name, stream=False, one_shot=True) for name in ("owner", "joined", "hosted", "alone")}
    assert list(seen["owner"]["networks"]) == list(seen["joined"]["networks"]) == ["eth0"]
    assert "networks" not in seen["hosted"] and "networks" not in seen["alone"]
    client.close()


def test_a_stream_of_stats_ends_with_the_container(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "gone", BASE, "sleep", "1000")
    client = docker.APIClient(base_url=engine.host)
    stream = client.stats("gone", decode=True)
    assert next(stream)["pids_stats"]["current"] == 1
    engine.docker("rm", "-f", "gone")
    assert all(found["name"] == "/gone" for found in stream)
    client.close()


def test_the_cli_shows_running_containers_or_all(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "runs", "-m", "64m", BASE, "sleep", "1000")
    engine.docker("create", "--name", "rests", BASE, "true")
    shown = engine.out("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}").splitlines()
    assert len(shown) == 1
    assert shown[0].startswith("runs ") and shown[0].endswith("/ 64MiB 1")
    everything = engine.out("stats", "--no-stream", "--all", "--format", "{{.Name}}").splitlines()
    assert sorted(everything) == ["rests", "runs"]
    refused = engine.docker("stats", "--no-stream", "nothing", check=False)
    assert "No such container: nothing" in refused.err


def test_one_shot_and_stream_contradict_each_other(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "still", BASE, "true")
    client = docker.APIClient(base_url=engine.host)
    answer = client.get(client._url("/containers/still/stats?stream=1&one-shot=1"))
    assert (answer.status_code, answer.json()) == (400, {"message": "cannot have stream=true and one-shot=true"})
    client.close()


def test_diff_names_what_was_added_changed_and_removed(engine: RunningEngine) -> None:
    script = "echo 1 >/root/new; rm /etc/group; chmod 700 /home; rm -rf /var; mkdir /var; >>/etc/passwd"
    engine.docker("run", "--name", "changed", BASE, "sh", "-c", script)
    told = engine.out("diff", "changed").splitlines()
    assert told == ["C /etc", "D /etc/group", "C /home", "C /root", "A /root/new"]
    engine.docker("create", "--name", "new", BASE, "true")
    assert engine.out("diff", "new") == ""


def test_export_has_the_files_without_what_is_mounted(engine: RunningEngine, tmp_path: Path) -> None:
    command = ("sh", "-c", "echo mine >/root/file; ln /root/file /root/link; echo v >/data/inside; sleep 1000")
    engine.docker("run", "-d", "--name", "full", "-v", "kept:/data", BASE, *command)
    engine.docker("exec", "full", "sh", "-c", "until [ -e /data/inside ]; do :; done")
    for state in ("running", "resting"):
        data = subprocess.run(["docker", "export", "full"], env=engine.environ, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            names = archive.getnames()
            assert {"root/file", "data", "proc", "usr/bin/cat"} <= set(names), state
            assert not any(name.startswith(("data/", "proc/")) for name in names)
            linked = archive.extractfile("root/link")
            assert linked is not None and linked.read() == b"mine\n"
        engine.docker("stop", "-t", "0", "full")
    output = tmp_path / "out.tar"
    engine.docker("export", "-o", output, "full")
    engine.docker("import", output, "again:1")
    assert engine.out("run", "--rm", "again:1", "cat", "/root/file") == "mine"


def test_sizes_are_the_bytes_written_and_those_with_the_image(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "sized", BASE, "sh", "-c", "printf 12345 >/root/five")
    found = json.loads(engine.out("inspect", "--size", "sized"))[0]
    size = json.loads(engine.out("image", "inspect", BASE))[0]["Size"]
    assert (found["SizeRw"], found["SizeRootFs"]) == (5, size + 5)
    assert engine.out("ps", "-as", "--format", "{{.Size}}").startswith("5B (virtual ")
    assert "SizeRw" not in json.loads(engine.out("inspect", "sized"))[0]
