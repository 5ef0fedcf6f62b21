"""Where an engine may listen, and what it says where it may not."""

from pathlib import Path

import pytest

from riad.engine.access.addresses import Guard, TcpAddress, TlsFiles, UnixAddress, parse, parse_all
from riad.engine.access.certs import alternative_names
from riad.kernel.faults import Fault, Kind

FILES = TlsFiles(Path("/ca.pem"), Path("/cert.pem"), Path("/key.pem"))
TLS, LOOPBACK, CLOSED = Guard(FILES), Guard(insecure_loopback=True), Guard()


@pytest.mark.parametrize(
    ("text", "guard", "wanted"),
    [
        ("unix:///run/e.sock", CLOSED, UnixAddress(Path("/run/e.sock"))),
        ("tcp://0.0.0.0", TLS, TcpAddress("0.0.0.0", 2376, FILES)),
        ("tcp://[::]:7", TLS, TcpAddress("::", 7, FILES)),
        ("tcp://127.0.0.1", LOOPBACK, TcpAddress("127.0.0.1", 2375, None)),
        ("tcp://localhost:99", LOOPBACK, TcpAddress("localhost", 99, None)),
        ("tcp://[::1]:99", LOOPBACK, TcpAddress("::1", 99, None)),
        ("tcp://127.0.0.1:0", Guard(FILES, insecure_loopback=True), TcpAddress("127.0.0.1", 0, FILES)),
    ],
)
def test_an_address_is_read_with_its_guard(text: str, guard: Guard, wanted: object) -> None:
    assert parse(text, guard) == wanted


@pytest.mark.parametrize(
    ("text", "guard", "kind", "told"),
    [
        ("tcp://0.0.0.0:2376", CLOSED, Kind.DENIED, "--tlsverify --tlscacert"),
        ("tcp://127.0.0.1:2375", CLOSED, Kind.DENIED, "--insecure-loopback"),
        ("tcp://0.0.0.0:2375", LOOPBACK, Kind.DENIED, "loopback addresses only"),
        ("tcp://127.0.0.1.example.org", LOOPBACK, Kind.DENIED, "loopback addresses only"),
        ("tcp://127.1", LOOPBACK, Kind.DENIED, "loopback addresses only"),
        ("fd://", CLOSED, Kind.UNSUPPORTED, "systemd"),
        ("npipe:////./pipe/docker_engine", CLOSED, Kind.UNSUPPORTED, "pipes"),
        ("/run/e.sock", CLOSED, Kind.INVALID, "unix:///PATH"),
        ("unix://e.sock", CLOSED, Kind.INVALID, "unix:///PATH"),
        ("tcp://", TLS, Kind.INVALID, "tcp://HOST:PORT"),
        ("tcp://a:99999", TLS, Kind.INVALID, "tcp://HOST:PORT"),
        ("tcp://a:1/path", TLS, Kind.INVALID, "tcp://HOST:PORT"),
        ("tcp://user@a:1", TLS, Kind.INVALID, "tcp://HOST:PORT"),
    ],
)
def test_what_may_not_be_listened_on_is_refused_with_the_way_out(
    text: str, guard: Guard, kind: Kind, told: str
) -> None:
    with pytest.raises(Fault, match="--host") as caught:
        parse(text, guard)
    assert caught.value.kind is kind
    assert told in caught.value.message


@pytest.mark.parametrize(("guard", "flag"), [(TLS, "--tlsverify"), (LOOPBACK, "--insecure-loopback")])
def test_a_guard_without_anything_to_guard_is_refused(guard: Guard, flag: str) -> None:
    with pytest.raises(Fault, match=flag):
        parse_all(["unix:///run/e.sock"], guard)


def test_certificates_name_hosts_and_addresses_and_nothing_else() -> None:
    assert alternative_names(["a.example", "10.0.0.1", "::1"]) == "DNS:a.example,IP:10.0.0.1,IP:::1"
    for bad in ("a,DNS:b", "a\nb", "", "-a"):
        with pytest.raises(Fault, match="neither a host name nor an address"):
            alternative_names([bad])
