"""The judge of the API's answers: what it lets through, what it finds."""

from __future__ import annotations

import json

import pytest

from api_judge.answers import Exchange, judge
from api_judge.conversation import Conversation

_HEADERS = {"api-version": "1.47", "ostype": "linux", "server": "x", "content-type": "application/json"}


def _judged(target: str, body: object, *, status: int = 200, method: str = "GET", **headers: str) -> list[str]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = judge(Exchange(method, target, status, {**_HEADERS, **headers}, text))
    return [line.partition(": ")[2] for line in found]


def test_what_is_described_passes() -> None:
    assert _judged("/v1.47/volumes", {"Volumes": None, "Warnings": []}) == []
    assert _judged("/containers/json?all=1", [{"Id": "x", "Ports": [], "Labels": None, "State": "running"}]) == []
    assert _judged("/v1.47/images/a/b:c/json", {"message": "No such image"}, status=404) == []


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ({"Volumes": {}}, ".Volumes: {} is not array"),
        ({"Volumes": [{"Name": "a", "Driver": "local", "Mountpoint": "/", "Labels": {}, "Options": {}}]},
         ".Volumes[0].Scope: missing"),
        ({"Volumes": [], "Odd": 1}, ".Odd: not in the description (value 1)"),
        ([], ": [] is not object"),
        (b"{", "no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): b'{'"),
    ],
)  # fmt: skip
def test_what_is_not_described_is_found(body: object, finding: str) -> None:
    assert _judged("/v1.47/volumes", body) == [finding]


def test_times_words_and_numbers_are_held_to_their_form() -> None:
    event = {"Type": "container", "Action": "start", "scope": "far", "time": 1 << 64}
    assert _judged("/events", event) == [
        ".scope: 'far' is none of ['local', 'swarm']",
        f".time: {1 << 64} does not fit into int64",
    ]


def test_an_error_must_be_a_message_and_each_answer_says_who_speaks() -> None:
    assert _judged("/v1.47/info", {"error": "x"}, status=500) == [
        ".message: missing",
        ".error: not in the description (value 'x')",
    ]
    found = judge(Exchange("GET", "/_ping", 200, {"content-type": "text/plain"}, b"OK"))
    assert [line.rpartition("→ 200: ")[2] for line in found] == [
        "header api-version: missing", "header ostype: missing", "header server: missing"
    ]  # fmt: skip


def test_a_conversation_is_taken_apart_until_it_changes_its_protocol() -> None:
    noted: list[Exchange] = []
    talk = Conversation(noted.append)
    talk.asked(b"HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    talk.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    talk.asked(b"GET /v1.47/info HTTP/1.1\r\nHost: x\r\n\r\n")
    for piece in (b"HTTP/1.1 200 OK\r\nTransfer-En", b"coding: chunked\r\n\r\n2\r\n{}\r\n", b"0\r\n\r\n"):
        talk.answered(piece)
    talk.asked(b"POST /v1.47/exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    talk.answered(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw")
    talk.asked(b"raw \xff")
    talk.answered(b"HTTP/1.1 200 OK\r\n\r\n")
    assert [(e.method, e.target, e.status, e.body) for e in noted] == [
        ("HEAD", "/_ping", 200, b""),
        ("GET", "/v1.47/info", 200, b"{}"),
        ("POST", "/v1.47/exec/1/start", 101, b""),
    ]


def test_a_stream_that_is_cut_off_is_judged_as_far_as_it_came() -> None:
    noted: list[Exchange] = []
    talk = Conversation(noted.append)
    talk.asked(b"GET /v1.47/events HTTP/1.1\r\nHost: x\r\n\r\n")
    talk.answered(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{"scope":"local"}\n\r\n')
    talk.ended()
    assert [(e.body, e.whole) for e in noted] == [(b'{"scope":"local"}\n', False)]
