from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from riad.kernel.faults import Fault
from riad.server.config import ServerConfig, check

EXAMPLE = Path(__file__).parents[3] / "docs" / "server.example.toml"


def test_the_example_file_shows_every_setting_with_its_default() -> None:
    text = EXAMPLE.read_text()
    settings = tomllib.loads("\n".join(line.removeprefix("# ") if " = " in line else "" for line in text.splitlines()))
    fields = {field.name: field.default for field in dataclasses.fields(ServerConfig)}
    assert settings.keys() == fields.keys()
    shown = tomllib.loads(text)
    assert {name: str(value) for name, value in shown.items()} == {name: str(fields[name]) for name in shown}


def test_the_address_that_users_know_follows_from_what_is_listened_on() -> None:
    config = ServerConfig(listen="127.0.0.1:9000")
    assert (config.url, config.host, config.port, config.service_domain) == (
        "http://127.0.0.1:9000",
        "127.0.0.1:9000",
        9000,
        "127.0.0.1",
    )


def test_every_wrong_setting_is_named() -> None:
    wrong = ServerConfig(listen="8080", external_url="localhost", jobs=0, root_token="short", log_level="loud")
    with pytest.raises(Fault) as caught:
        check(wrong)
    assert [finding.path for finding in caught.value.findings] == [
        "listen",
        "external_url",
        "jobs",
        "root_token",
        "log_level",
    ]
