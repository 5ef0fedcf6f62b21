"""Logs are events with fields, one line each: `event key=value …`, or JSON where a machine reads them.

Usage: `log = logs.named("pipelines")`, then `log.info("job started", extra=fields(job=7))`.
What a user sees is never a log line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO


def named(name: str) -> logging.Logger:
    return logging.getLogger(f"riad.{name}")


def fields(**values: object) -> dict[str, object]:
    """What to pass as `extra=`."""
    return {"riad_fields": values}


def configure(*, level: str = "info", as_json: bool = False, stream: TextIO | None = None) -> None:
    """Sends the whole process's log to `stream` (stderr by default). Call once, at start."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    found = getattr(record, "riad_fields", {})
    return found if isinstance(found, Mapping) else {}


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {key}={_shown(value)}" for key, value in _fields_of(record).items())
        line = f"{_moment(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c.isspace() or c == '"' for c in text) else text


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)
