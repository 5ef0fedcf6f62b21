"""The JSON lines that pull, push, load, import and build answer with. Pure.

A failure after the first byte arrives inside the stream as `errorDetail`, with HTTP status 200.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from riad.kernel.faults import Fault, Kind


@dataclass(frozen=True, slots=True)
class Progress:
    """One line: `text` is what a person would read; `aux` carries results such as {"ID": …} or {"Digest": …}."""

    text: str = ""
    id: str = ""
    current: int | None = None
    total: int | None = None
    aux: dict[str, Any] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]


class ProgressReader:
    """Takes bytes as they come, gives lines; raises what the engine reports."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Progress]:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            yield from self._line(line)

    def finish(self) -> Iterator[Progress]:
        line, self._buffer = self._buffer, b""
        yield from self._line(line)

    def _line(self, line: bytes) -> Iterator[Progress]:
        if not line.strip():
            return
        try:
            document = json.loads(line)
        except ValueError:
            raise Fault(Kind.INTERNAL, f"the container engine sent no JSON: {line[:200]!r}") from None
        error = document.get("errorDetail") or ({"message": document["error"]} if document.get("error") else None)
        if error is not None:
            raise Fault(Kind.INTERNAL, str(error.get("message") or document.get("error")))
        detail = document.get("progressDetail") or {}
        aux = document.get("aux")
        yield Progress(
            text=str(document.get("status") or document.get("stream") or ""),
            id=str(document.get("id") or ""),
            current=detail.get("current"),
            total=detail.get("total"),
            aux=aux if isinstance(aux, dict) else {},
        )
