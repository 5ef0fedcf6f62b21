"""TCP: TLS with certificates on both sides, as the stock client speaks it; plain on loopback where it is asked for."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from ports import free_port
from riad.engine.access import certs

pytestmark = pytest.mark.root


@dataclass(frozen=True, slots=True)
class Remote:
    engine: RunningEngine
    files: Path
    port: int

    def docker(self, *arguments: str, stdin: bytes = b"", files: Path | None = None) -> subprocess.CompletedProcess:
        folder = files or self.files
        tls = ["--tlsverify", "--tlscacert", folder / "ca.pem", "--tlscert", folder / "cert.pem"]
        return subprocess.run(
            ["docker", "-H", f"tcp://127.0.0.1:{self.port}", *tls, "--tlskey", folder / "key.pem", *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "DOCKER_CONFIG": str(self.engine.root / "client")},
        )


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    files, port = tmp_path_factory.mktemp("certs"), free_port()
    certs.make(files, ["127.0.0.1"], days=1)
    flags = ["--tlsverify", "--tlscacert", files / "ca.pem", "--tlscert", files / "server-cert.pem"]
    flags += ["--tlskey", files / "server-key.pem", "-H", f"tcp://127.0.0.1:{port}"]
    with running_engine(*map(str, flags)) as engine:
        yield Remote(engine, files, port)


def test_the_stock_client_with_a_certificate_is_let_in(remote: Remote) -> None:
    done = remote.docker("run", "--rm", BASE, "echo", "hello")
    assert (done.stdout, done.returncode) == (b"hello\n", 0), done.stderr


def test_the_clients_end_of_input_does_not_end_its_output(remote: Remote) -> None:
    sent = b"".join(b"%d\n" % number for number in range(50_000))
    done = remote.docker("run", "--rm", "-i", BASE, "sh", "-c", "cat; echo end", stdin=sent)
    assert done.stdout == sent + b"end\n", done.stderr


def test_a_command_is_run_and_files_are_copied_over_tls(remote: Remote, tmp_path: Path) -> None:
    name = remote.docker("run", "-d", BASE, "sleep", "600").stdout.decode().strip()
    try:
        assert remote.docker("exec", "-i", name, "cat", stdin=b"typed").stdout == b"typed"
        big = tmp_path / "big"
        big.write_bytes(os.urandom(3_000_000))
        assert remote.docker("cp", str(big), f"{name}:/tmp/big").returncode == 0
        assert remote.docker("exec", name, "cat", "/tmp/big").stdout == big.read_bytes()
    finally:
        remote.docker("rm", "-f", name)


def test_a_certificate_of_another_authority_is_refused(remote: Remote, tmp_path: Path) -> None:
    certs.make(tmp_path / "other", ["127.0.0.1"], days=1)
    (tmp_path / "other/ca.pem").unlink()
    (tmp_path / "other/ca.pem").write_bytes((remote.files / "ca.pem").read_bytes())
    done = remote.docker("version", files=tmp_path / "other")
    assert done.returncode != 0
    assert b"certificate" in done.stderr


def test_a_client_without_a_certificate_is_refused(remote: Remote) -> None:
    tls = ssl.create_default_context(cafile=remote.files / "ca.pem")
    with pytest.raises(OSError):  # noqa: SIM117 -- TLS 1.3 tells it with the first read
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", remote.port)), server_hostname="127.0.0.1") as own:
            own.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
            own.recv(1) or (_ for _ in ()).throw(OSError("closed"))


def test_the_servers_certificate_is_none_for_clients(remote: Remote) -> None:
    tls = ssl.create_default_context(cafile=remote.files / "ca.pem")
    tls.load_cert_chain(remote.files / "server-cert.pem", remote.files / "server-key.pem")
    with pytest.raises(OSError):  # noqa: SIM117
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", remote.port)), server_hostname="127.0.0.1") as own:
            own.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
            own.recv(1) or (_ for _ in ()).throw(OSError("closed"))


def test_plain_http_to_the_tls_port_is_refused_and_others_are_served_on(remote: Remote) -> None:
    with socket.create_connection(("127.0.0.1", remote.port)) as own:
        own.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        own.settimeout(30)
        assert b"200" not in own.recv(100)
    assert remote.docker("version").returncode == 0


def test_the_socket_belongs_to_root_and_its_group(remote: Remote) -> None:
    found = remote.engine.daemons_socket.stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_uid == 0


def test_loopback_without_tls_serves_programs_but_no_web_pages() -> None:
    port = free_port()
    with running_engine("--insecure-loopback", "-H", f"tcp://127.0.0.1:{port}") as engine:
        environ = {**os.environ, "DOCKER_HOST": f"tcp://127.0.0.1:{port}"}
        done = subprocess.run(["docker", "ps"], capture_output=True, env=environ, check=False)
        assert done.returncode == 0, done.stderr
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "none"}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/containers/json", headers=headers)
            assert connection.getresponse().status == 403, headers
            connection.close()
        assert engine.docker("ps").code == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("-H", "tcp://127.0.0.1:0"), "--insecure-loopback"),
        (("-H", "fd://"), "systemd"),
        (("--tlsverify", "-H", "tcp://127.0.0.1:0"), "--tlsverify needs --tlscacert"),
        (("--tlscacert", "/x"), "--tlscacert needs --tlsverify"),
    ],
)
def test_open_tcp_is_refused_with_the_way_out(flags: tuple[str, ...], told: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "riad.cli.main", "engine", "--data-root", tmp_path / "d", "--exec-root"]
    done = subprocess.run([*command, tmp_path / "r", *flags], capture_output=True, check=False)
    assert done.returncode != 0
    assert told in done.stderr.decode()
    assert not (tmp_path / "d").exists()
