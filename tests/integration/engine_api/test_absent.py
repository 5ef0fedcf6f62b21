"""What the docker command says of swarm, plugins and checkpoints where an engine has none of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root
MANAGER = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"'


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.mark.parametrize(
    "words",
    [
        "node ls", "node inspect x", "node update --role worker x", "service ls", "service create alpine",
        "service inspect x", "service logs x", "stack ls", "stack services x", "secret ls", "secret inspect x",
        "secret rm x", "config ls", "swarm join-token worker", "swarm unlock-key", "swarm ca",
        "swarm update --autolock",
    ],
)  # fmt: skip
def test_swarm_needs_a_manager(engine: RunningEngine, words: str) -> None:
    said = engine.docker(*words.split(), check=False)
    assert said.code == 1
    assert MANAGER in said.err


def test_a_swarm_is_neither_made_nor_left(engine: RunningEngine) -> None:
    assert "has no swarm mode" in engine.docker("swarm", "init", check=False).err
    joined = engine.docker("swarm", "join", "--token", "t", "127.0.0.1:2377", check=False)
    assert "has no swarm mode" in joined.err
    assert "This node is not part of a swarm" in engine.docker("swarm", "leave", check=False).err
    assert engine.out("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"


def test_there_are_no_plugins(engine: RunningEngine) -> None:
    assert engine.out("plugin", "ls", "-q") == ""
    for words in ("inspect x", "rm x", "enable x", "disable x", "set x A=b"):
        said = engine.docker("plugin", *words.split(), check=False)
        assert said.code == 1
        assert 'plugin "x' in said.err + said.out or "No such plugin: x" in said.err + said.out, said
    assert (
        "has no managed plugins" in engine.docker("plugin", "install", "--grant-all-permissions", "x", check=False).err
    )


def test_inspect_finds_a_missing_thing_nowhere(engine: RunningEngine) -> None:
    assert "No such object: nothing" in engine.docker("inspect", "nothing", check=False).err


def test_checkpoints_are_experimental(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "box", BASE, "true")
    for words in ("ls box", "create box c", "rm box c"):
        said = engine.docker("checkpoint", *words.split(), check=False)
        assert said.code == 1
        assert "experimental" in said.err, said
    engine.docker("rm", "box")
