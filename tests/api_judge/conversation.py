"""What is said on one connection to an engine, taken apart into exchanges while it passes.

Requests come one after the other, each answered before the next (no client here pipelines). After a change of protocol,
or of what is not understood, the rest of the connection is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools

from api_judge.answers import Exchange

_LARGEST = 8 << 20
"""Bytes kept of a body; what is longer is an archive, or a stream without an end."""


class Conversation:
    """Feed it the bytes of both directions; `note` gets each exchange once its answer has ended."""

    def __init__(self, note: Callable[[Exchange], None]) -> None:
        self._note = note
        self._pending: list[Exchange] = []
        self._asking = _Message(self._request_began)
        self._requests = httptools.HttpRequestParser(self._asking)
        self._answering = _Message(self._answer_began)
        self._answers = httptools.HttpResponseParser(self._answering)
        self._asks_raw = self._answers_raw = False
        self._current: Exchange | None = None

    def asked(self, data: bytes) -> None:
        if not self._asks_raw:
            try:
                self._requests.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                self._asks_raw = True

    def answered(self, data: bytes) -> None:
        if self._answers_raw:
            return
        try:
            self._answers.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._answers_raw = True
        except httptools.HttpParserError:
            self._answers_raw = True
            self._current = None
            return
        if self._current is not None and (self._current.method == "HEAD" or self._answering.complete):
            self._end(whole=True)

    def ended(self) -> None:
        """The engine has closed the connection."""
        if self._current is not None and not self._answers_raw:
            self._end(whole=False)

    def _request_began(self) -> None:
        method, target = self._requests.get_method().decode(), self._asking.target.decode(errors="replace")
        self._pending.append(Exchange(method, target))

    def _answer_began(self) -> None:
        status = self._answers.get_status_code()
        if 100 <= status < 200 and status != 101:
            return  # the answer proper follows
        if not self._pending:
            self._answers_raw = True
            return
        self._current = self._pending.pop(0)
        self._current.status = status
        self._current.headers = self._answering.headers

    def _end(self, *, whole: bool) -> None:
        assert self._current is not None
        self._current.body = bytes(self._answering.body)
        self._current.whole = whole and len(self._current.body) < _LARGEST
        self._note(self._current)
        self._current = None
        self._answering = _Message(self._answer_began)
        self._answers = httptools.HttpResponseParser(self._answering)


class _Message:
    """What httptools tells of messages."""

    def __init__(self, began: Callable[[], None]) -> None:
        self._began = began
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._began()

    def on_body(self, body: bytes) -> None:
        if len(self.body) < _LARGEST:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
