"""GET /metrics as Prometheus scrapes it, on the engine's socket and on an address of its own."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request

import docker
import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root

_SAMPLE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\.)*",?)*\})? -?[0-9.e+-]+')


def _scrape(engine: RunningEngine) -> dict[str, str]:
    client = docker.APIClient(base_url=engine.host)
    answer = client.get(f"{client.base_url}/metrics")
    client.close()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all(_SAMPLE.fullmatch(line) for line in lines)
    return dict(line.rsplit(" ", 1) for line in lines)


def test_containers_and_the_engine_are_told_of(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "web", "--label", "team=blue", "-m", "64m", BASE, "sleep", "1000")
    engine.docker("create", "--name", "rests", BASE, "true")
    found = _scrape(engine)
    web = {key: value for key, value in found.items() if 'name="web"' in key}
    assert float(next(v for k, v in web.items() if k.startswith("container_memory_working_set_bytes{"))) > 0
    assert float(next(v for k, v in web.items() if k.startswith("container_spec_memory_limit_bytes{"))) == 64 * 2**20
    assert any(k.startswith("container_network_receive_bytes_total{") and 'interface="eth0"' in k for k in web)
    assert all('container_label_team="blue"' in key and f'image="{BASE}"' in key for key in web)
    assert not any('name="rests"' in key for key in found)
    assert found['engine_daemon_container_states_containers{state="running"}'] == "1"
    assert found['engine_daemon_container_states_containers{state="stopped"}'] == "1"
    assert int(found["machine_memory_bytes"]) > 0
    assert int(found['engine_daemon_container_actions_seconds_count{action="create"}']) >= 2
    assert int(found['engine_daemon_container_actions_seconds_count{action="start"}']) >= 1


def test_metrics_have_an_address_of_their_own_that_gives_nothing_else() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running_engine("--metrics-addr", f"127.0.0.1:{port}"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"engine_daemon_engine_info{" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/containers/json")
