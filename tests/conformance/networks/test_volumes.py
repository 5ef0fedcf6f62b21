"""`docker volume` and `-v NAME:PATH` as the stock CLI has them."""

from __future__ import annotations

import json
import re

import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root


def test_a_volume_is_made_listed_inspected_and_removed(engine: RunningEngine) -> None:
    assert engine.out("volume", "create", "--label", "team=a", "data") == "data"
    assert engine.out("volume", "ls", "--filter", "label=team", "--format", "{{.Driver}} {{.Name}}") == "local data"
    (shape,) = json.loads(engine.out("volume", "inspect", "data"))
    assert shape["Labels"] == {"team": "a"}
    assert shape["Mountpoint"].endswith("/data/_data")
    assert engine.out("volume", "rm", "data") == "data"
    said = engine.docker("volume", "inspect", "data", check=False)
    assert re.search("get data: no such volume|No such volume: data", said.err)  # or what clients before 23 say instead


def test_data_outlives_containers(engine: RunningEngine) -> None:
    engine.docker("run", "--rm", "-v", "data:/d", BASE, "sh", "-c", "echo kept > /d/file")
    assert engine.out("run", "--rm", "-v", "data:/e:ro", BASE, "cat", "/e/file") == "kept"
    said = engine.docker("run", "--rm", "-v", "data:/e:ro", BASE, "touch", "/e/x", check=False)
    assert "Read-only file system" in said.err


def test_an_empty_volume_gets_what_the_image_has_there(engine: RunningEngine) -> None:
    assert "passwd" in engine.out("run", "--rm", "-v", "conf:/etc", BASE, "ls", "/etc").split()
    engine.docker("run", "--rm", "-v", "conf:/x", BASE, "rm", "/x/passwd")
    assert "passwd" not in engine.out("run", "--rm", "-v", "conf:/etc", BASE, "ls", "/etc").split()
    mount = "type=volume,source=bare,target=/etc,volume-nocopy"
    assert "passwd" not in engine.out("run", "--rm", "--mount", mount, BASE, "ls", "/etc").split()


def test_a_volume_in_use_is_not_removed(engine: RunningEngine) -> None:
    container = engine.out("create", "-v", "data:/d", BASE, "true")
    said = engine.docker("volume", "rm", "-f", "data", check=False)
    assert said.err == f"Error response from daemon: remove data: volume is in use - [{container}]\n"
    assert engine.out("volume", "ls", "-q", "--filter", "dangling=true") == ""
    engine.docker("rm", container)
    assert engine.out("volume", "ls", "-q", "--filter", "dangling=true") == "data"


def test_anonymous_volumes_go_with_their_container_when_asked(engine: RunningEngine) -> None:
    engine.docker("run", "--rm", "-v", "/d", BASE, "true")
    assert engine.out("volume", "ls", "-q") == ""
    container = engine.out("create", "-v", "/d", BASE, "true")
    engine.docker("rm", container)
    assert len(engine.out("volume", "ls", "-q")) == 64


def test_prune_takes_anonymous_volumes_and_named_ones_only_when_told(engine: RunningEngine) -> None:
    engine.docker("volume", "create", "named")
    anonymous = engine.out("volume", "create")
    assert anonymous in engine.out("volume", "prune", "-f")
    if engine.speaks < (1, 42):  # to clients as old, all means all
        assert engine.out("volume", "ls", "-q") == ""
        return
    assert engine.out("volume", "ls", "-q") == "named"
    assert "named" in engine.out("volume", "prune", "-f", "--filter", "all=true")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a",), "volume name is too short, names should be at least two alphanumeric characters"),
        (("a/b",), '"a/b" includes invalid characters for a local volume name'),
        (("-d", "nfs", "data"), 'plugin "nfs" not found'),
        (("-o", "type=tmpfs", "data"), 'missing required option: "device"'),
    ],
)
def test_volumes_that_cannot_be_are_refused_by_name(
    engine: RunningEngine, arguments: tuple[str, ...], sentence: str
) -> None:
    said = engine.docker("volume", "create", *arguments, check=False)
    assert said.code == 1
    assert sentence in said.err
