from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from riad.kernel import logs


@pytest.fixture
def root() -> Iterator[None]:
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:], level = kept
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("root")
def test_a_line_holds_the_event_and_its_fields() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.named("test").info("job started", extra=logs.fields(job=7, name="unit tests"))
    assert 'info    riad.test: job started job=7 name="unit tests"' in stream.getvalue()


@pytest.mark.usefixtures("root")
def test_json_lines_hold_the_fields_and_the_exception() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, as_json=True)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logs.named("test").exception("failed", extra=logs.fields(job=7))
    event = json.loads(stream.getvalue())
    assert (event["event"], event["job"], event["level"]) == ("failed", 7, "error")
    assert "RuntimeError: broken" in event["exception"]
