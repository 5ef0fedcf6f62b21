import pytest

from riad.dockerclient.address import parse
from riad.dockerclient.errors import fault_of, faults_ignored
from riad.dockerclient.images import split_reference
from riad.dockerclient.progress import Progress, ProgressReader
from riad.kernel.faults import Fault, Kind, conflict, not_found


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("python", ("python", "")),
        ("python:3.11", ("python", "3.11")),
        ("localhost:8080/demo/app", ("localhost:8080/demo/app", "")),
        ("localhost:8080/demo/app:v1", ("localhost:8080/demo/app", "v1")),
        ("localhost:8080/a@sha256:00", ("localhost:8080/a", "sha256:00")),
    ],
)
def test_a_port_is_not_taken_for_a_tag(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_an_address_is_a_socket_or_an_endpoint() -> None:
    assert parse("unix:///run/e.sock").socket == "/run/e.sock"
    assert parse("tcp://10.0.0.1:2375").base_url == "http://10.0.0.1:2375"
    assert parse("tcp://[::1]").base_url == "http://[::1]:2375"


@pytest.mark.parametrize("text", ["", "/run/e.sock", "unix://run/e.sock", "ssh://host", "npipe:////./pipe"])
def test_another_kind_of_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(Fault, match="neither unix:///PATH nor tcp://HOST:PORT"):
        parse(text)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, Kind.NOT_FOUND), (409, Kind.CONFLICT), (400, Kind.INVALID), (501, Kind.UNSUPPORTED), (500, Kind.INTERNAL),
     (503, Kind.UNAVAILABLE), (418, Kind.INVALID), (599, Kind.INTERNAL)],
)  # fmt: skip
def test_a_refusal_keeps_its_message_and_gets_a_kind(status: int, kind: Kind) -> None:
    fault = fault_of(status, b'{"message": "No such thing"}')
    assert (fault.kind, fault.message) == (kind, "No such thing")


def test_a_refusal_without_json_says_what_was_sent() -> None:
    assert fault_of(502, b"<html>").message == "<html>"
    assert "status 500" in fault_of(500, b"").message


def test_only_the_named_kinds_are_ignored() -> None:
    with faults_ignored(Kind.NOT_FOUND):
        raise not_found("gone")
    with pytest.raises(Fault), faults_ignored(Kind.NOT_FOUND):
        raise conflict("taken")


def test_progress_lines_may_arrive_in_pieces() -> None:
    reader = ProgressReader()
    wire = b'{"status":"Pulling","id":"a","progressDetail":{"current":1,"total":2}}\r\n{"aux":{"Digest":"sha256:1"}}'
    lines = [line for at in range(0, len(wire), 7) for line in reader.feed(wire[at : at + 7])] + list(reader.finish())
    assert lines == [Progress("Pulling", "a", 1, 2), Progress(aux={"Digest": "sha256:1"})]


def test_an_error_inside_the_stream_is_raised() -> None:
    with pytest.raises(Fault, match="no space left"):
        list(ProgressReader().feed(b'{"errorDetail":{"message":"no space left"},"error":"no space left"}\n'))
