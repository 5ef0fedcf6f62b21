from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from struct import unpack_from

import pytest

from riad.engine.containers.logs import segments
from riad.engine.containers.logs.attributes import Subject
from riad.engine.containers.logs.deliver import Delivery, delivered
from riad.engine.containers.logs.drivers import Message, syslog
from riad.engine.containers.logs.drivers.journald import Journal, datagram, field_name
from riad.engine.containers.logs.read import Place
from riad.kernel.faults import Fault

_SUBJECT = Subject(
    id="0123456789ab" + "c" * 52, name="web", image="base:1", image_id="sha256:1", labels={"my.team": "x"}
)
_AT = 1_700_000_000_123_456_789


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", ("", "", 0)),
        ("udp://1.2.3.4:514", ("udp", "1.2.3.4", 514)),
        ("tcp://logs.example", ("tcp", "logs.example", 514)),
        ("tcp://[::1]:6514", ("tcp", "::1", 6514)),
        ("unix:///dev/log", ("unix", "/dev/log", 0)),
        ("unixgram:///dev/log", ("unixgram", "/dev/log", 0)),
    ],
)
def test_addresses(address: str, expected: tuple[str, str, int]) -> None:
    found = syslog.read_target({"syslog-address": address, "syslog-facility": "local3"})
    assert (found.scheme, found.place, found.port, found.facility) == (*expected, 19)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"syslog-address": "1.2.3.4"}, "syslog-address should be in form proto://address, got 1.2.3.4"),
        ({"syslog-address": "http://x"}, "syslog-address should be in form proto://address"),
        ({"syslog-address": "tcp+tls://x:1"}, "does not send logs over TLS"),
        ({"syslog-address": "udp://x:nine"}, "udp://x:nine"),
        ({"syslog-facility": "odd"}, "invalid syslog facility: odd"),
        ({"syslog-format": "odd"}, "invalid syslog format: odd"),
    ],
)
def test_odd_targets_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        syslog.read_target(options)
    assert sentence in caught.value.message


def test_messages_in_every_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    shown = [
        syslog.render(syslog.Target(form=form), Message(b"hi", _AT, stderr), tag="t", hostname="h", pid=7)
        for form, stderr in (("", False), ("rfc3164", True), ("rfc5424", False), ("rfc5424micro", False))
    ]
    assert shown == [
        b"<30>Nov 14 22:13:20 t[7]: hi\n",
        b"<27>Nov 14 22:13:20 h t[7]: hi\n",
        b"<30>1 2023-11-14T22:13:20+00:00 h t 7 t - hi\n",
        b"<30>1 2023-11-14T22:13:20.123456+00:00 h t 7 t - hi\n",
    ]


def test_the_journal_gets_fields_of_any_bytes() -> None:
    data = datagram({"CONTAINER_NAME": "web"}, Message(b"two\nlines", _AT, stderr=True, partial=True))
    assert data.startswith(b"MESSAGE\n")
    assert unpack_from("<Q", data, 8)[0] == 9
    assert b"\ntwo" not in data[:8]
    lines = data[8 + 8 + 10 :].splitlines()
    assert lines == [
        b"CONTAINER_NAME=web",
        b"PRIORITY=3",
        b"SYSLOG_TIMESTAMP=2023-11-14T22:13:20.123456789Z",
        b"CONTAINER_PARTIAL_MESSAGE=true",
    ]
    assert field_name("_my.team-1") == "MY_TEAM_1"


async def test_the_journal_is_spoken_to_over_its_socket(tmp_path: Path) -> None:
    journal = Journal({"labels": "my.team", "tag": "{{.Name}}"}, _SUBJECT, path=tmp_path / "socket")
    with pytest.raises(Fault, match="journald is not enabled on this host"):
        await journal.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        await journal.open()
        await journal.send([Message(b"hi", _AT)])
        received = listening.recv(4096).splitlines()
    journal.close()
    assert {b"MESSAGE=hi", b"CONTAINER_TAG=web", b"MY_TEAM=x", b"SYSLOG_IDENTIFIER=web", b"PRIORITY=6"} <= set(received)


class _Place:
    """A sink that fails so often first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[bytes] = []

    async def open(self) -> None:
        return

    async def send(self, messages: Sequence[Message]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise OSError("away")
        self.got += [message.text for message in messages]

    def close(self) -> None:
        return


def _write(log: Path, *texts: str) -> None:
    with log.open("ab") as file:
        for text in texts:
            file.write(f"2024-01-01T00:00:00.000000000+00:00 stdout F {text}\n".encode())


async def _deliver(log: Path, place: _Place, *, buffer: int | None = None) -> None:
    await Delivery(log, place, buffer, keep_from=lambda _: None, wanted=lambda: True).run(None)


async def test_delivery_goes_on_where_it_was(tmp_path: Path) -> None:
    log, place = tmp_path / "log", _Place()
    _write(log, "a", "b")
    await _deliver(log, place)
    segments.begin_new(log)
    _write(log, "c")
    await _deliver(log, place)
    assert place.got == [b"a", b"b", b"c"]
    assert delivered(log) == Place(2, log.stat().st_size)
    await _deliver(log, place)
    assert place.got == [b"a", b"b", b"c"]


async def test_a_place_that_is_away_gets_everything_later(tmp_path: Path) -> None:
    log, place = tmp_path / "log", _Place(failures=2)
    _write(log, "a", "b")
    await asyncio.wait_for(_deliver(log, place), 10)
    assert place.got == [b"a", b"b"]


async def test_without_blocking_what_is_too_far_behind_is_given_up(tmp_path: Path) -> None:
    log, place = tmp_path / "log", _Place(failures=1)
    _write(log, "a", "b")
    segments.noticed(log)
    segments.begin_new(log)
    _write(log, *("x" * 100 for _ in range(20)))
    await asyncio.wait_for(_deliver(log, place, buffer=500), 10)
    assert b"a" not in place.got
    assert 0 < len(place.got) < 5
