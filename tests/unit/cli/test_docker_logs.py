from __future__ import annotations

import click
import pytest

from riad.cli.docker.logs import logs

_NOWHERE = "unix:///nowhere/engine.sock"


def test_without_clear_it_is_dockers() -> None:
    assert not logs(_NOWHERE, ["-f", "web"])
    assert not logs(_NOWHERE, ["--help"])


@pytest.mark.parametrize(
    ("given", "sentence"), [(["--clear"], "name at least one"), (["--clear", "-f", "x"], "-f does")]
)
def test_odd_calls_are_refused(given: list[str], sentence: str) -> None:
    with pytest.raises(click.UsageError, match=sentence):
        logs(_NOWHERE, given)
