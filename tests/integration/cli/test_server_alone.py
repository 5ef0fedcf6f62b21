"""`riad server` as a process of its own: without an engine, killed, started twice, badly told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ports import free_port

TOKEN = "preset-token-of-root"


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *more: str) -> list[str]:
        return [
            sys.executable, "-m", "riad.cli.main", "server",
            "--data-dir", str(self.folder), "--listen", self.address, *more,
        ]  # fmt: skip

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, "RIAD_ROOT_TOKEN": TOKEN, "RIAD_ROOT_PASSWORD": "preset-password", **more}

    def start(self) -> None:
        with (self.folder.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environ(), stderr=log)
        deadline = time.monotonic() + 30
        while self.get("/-/readiness")[0] != 200:
            assert self.process.poll() is None, (self.folder.parent / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def run(self, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*more)
        return subprocess.run(
            command, env=self.environ(**environ), capture_output=True, text=True, timeout=30, check=False
        )

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://{self.address}{path}")
        if token:
            request.add_header("PRIVATE-TOKEN", token)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, None
        except OSError:
            return 0, None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data")
    server.folder.mkdir()
    yield server
    if server.process and server.process.poll() is None:
        server.stop(signal.SIGKILL)


def test_it_works_without_an_engine_and_knows_its_preset_administrator(server: Server) -> None:
    server.start()
    status, user = server.get("/api/v4/user", TOKEN)
    assert (status, user["username"], user["is_admin"]) == (200, "root", True)
    assert server.get("/api/v4/user", "another-token")[0] == 401
    assert server.stop() == 0


def test_a_killed_server_comes_back_with_what_it_acknowledged(server: Server) -> None:
    server.start()
    request = urllib.request.Request(
        f"http://{server.address}/api/v4/groups",
        data=b'{"name": "demo", "path": "demo"}',
        headers={"PRIVATE-TOKEN": TOKEN, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201
    server.stop(signal.SIGKILL)
    server.start()
    assert server.get("/api/v4/groups/demo", TOKEN)[0] == 200


def test_a_second_server_on_the_same_folder_is_refused(server: Server) -> None:
    server.start()
    second = server.run()
    assert second.returncode == 1
    assert "is in use by another server" in second.stderr


def test_a_taken_address_names_itself_and_the_way_out(server: Server) -> None:
    host, port = server.address.split(":")
    with socket.create_server((host, int(port))):
        done = server.run()
    assert done.returncode == 1
    assert f"cannot listen on {server.address}" in done.stderr
    assert "--listen" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("RIAD_ROOT_TOKEN", "short"), ("RIAD_JOBS", "many"), ("RIAD_EXTERNAL_URL", "localhost")]
)
def test_a_wrong_setting_is_refused_by_name(server: Server, variable: str, value: str) -> None:
    done = server.run(**{variable: value})
    assert done.returncode == 1
    assert variable.removeprefix("RIAD_").lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_what_a_killed_server_had_put_down_for_a_moment_goes_with_the_next_start(server: Server) -> None:
    left = [server.folder / "temporary" / "riad-collect-x" / "0.tar", server.folder / "run" / "checkouts" / "c" / "f"]
    for file in left:
        file.parent.mkdir(parents=True)
        file.write_text("left")
    server.start()
    assert not any(file.exists() for file in left)
    assert (server.folder / "temporary").stat().st_mode & 0o077 == 0
