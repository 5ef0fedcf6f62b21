"""A daemon that dies before any step of any verb leaves nothing half-made: the next one finishes it or takes it back.

Steps are found by running the verb once (`killing`). By default each verb is killed at a few of them, spread over all;
RIAD_LONG=1 takes every one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from engine_state import settles
from static_registry import static_registry

pytestmark = [pytest.mark.root, pytest.mark.slow]

LONG = bool(os.environ.get("RIAD_LONG"))
POINTS = 2
Act = Callable[[RunningEngine], object]


@dataclass(frozen=True, slots=True)
class Verb:
    """`before` furnishes what `act` works on; `after`, asked of the restarted engine, works whatever had happened."""

    name: str
    before: Act
    act: Act
    after: Act


def _nothing(_: RunningEngine) -> None:
    return


def _try(*words: str) -> Act:
    return lambda engine: engine.docker(*words, check=False)


def _do(*words: str) -> Act:
    return lambda engine: engine.docker(*words)


def _all(*acts: Act) -> Act:
    def every(engine: RunningEngine) -> None:
        for act in acts:
            act(engine)

    return every


def _build(engine: RunningEngine) -> None:
    context = engine.root / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY file /file\nRUN cat /file > /copy\nLABEL a=b\n")
    (context / "file").write_text(os.urandom(8).hex())
    engine.docker("build", "-t", "built", context, check=False)


def _copied(engine: RunningEngine) -> None:
    (engine.root / "some").write_text("some")
    engine.docker("cp", engine.root / "some", "box:/some", check=False)


def _is_gone(name: str) -> Act:
    def check(engine: RunningEngine) -> None:
        engine.docker("rm", "-f", name, check=False)
        assert name not in engine.out("ps", "-a", "--format", "{{.Names}}").split()

    return check


RUN = ("run", "-d", "--name", "box", "-p", "127.0.0.1::80", "-v", "kept:/kept", "-v", "/loose", "--network", "own")
_RUNNING = _do(*RUN, BASE, "sleep", "1000")
_STARTS = _all(_do("start", "box"), _do("exec", "box", "true"))
_NET = _try("network", "create", "own")


def _saved(engine: RunningEngine) -> None:
    if not (engine.root / "image.tar").exists():
        engine.docker("tag", BASE, "other:1")
        engine.docker("save", "-o", engine.root / "image.tar", "other:1")
        engine.docker("rmi", "other:1")


def _pulled(engine: RunningEngine, *, check: bool = False) -> None:
    engine.docker("pull", (engine.root / "registry").read_text(), check=check)


def _pulled_and_removed(engine: RunningEngine) -> None:
    _pulled(engine, check=True)
    engine.docker("rmi", (engine.root / "registry").read_text())


def _layered(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "sh", "-c", f"echo {os.urandom(8).hex()} > /new")
    engine.docker("commit", "box", "committed")
    engine.docker("rm", "box")


VERBS = (
    Verb("create", _NET, _try("create", *RUN[2:], BASE, "true"), _is_gone("box")),
    Verb("run", _NET, _try(*RUN, BASE, "sleep", "1000"), _is_gone("box")),
    Verb("start", _all(_NET, _do("create", *RUN[2:], BASE, "sleep", "1000")), _try("start", "box"), _STARTS),
    Verb("stop", _RUNNING, _try("stop", "-t", "0", "box"), _STARTS),
    Verb("restart", _RUNNING, _try("restart", "-t", "0", "box"), _STARTS),
    Verb("kill", _RUNNING, _try("kill", "box"), _STARTS),
    Verb("pause", _RUNNING, _all(_try("pause", "box"), _try("unpause", "box")), _all(_try("unpause", "box"), _STARTS)),
    Verb("rename", _RUNNING, _try("rename", "box", "box2"), _all(_is_gone("box"), _is_gone("box2"))),
    Verb("remove", _RUNNING, _try("rm", "-f", "-v", "box"), _is_gone("box")),
    Verb("exec", _RUNNING, _try("exec", "box", "true"), _STARTS),
    Verb("cp", _RUNNING, _copied, _STARTS),
    Verb("auto-remove", _NET, _try("run", "--rm", *RUN[2:], BASE, "true"), _is_gone("box")),
    Verb("commit", _RUNNING, _try("commit", "box", "committed"), _all(_try("rmi", "committed"), _STARTS)),
    Verb("update", _RUNNING, _try("update", "--memory", "32m", "--memory-swap", "32m", "box"), _STARTS),
    Verb("network create", _nothing, _try("network", "create", "net2"), _all(_try("network", "rm", "net2"))),
    Verb("network rm", _do("network", "create", "net2"), _try("network", "rm", "net2"), _try("network", "rm", "net2")),
    Verb(
        "network connect",
        _all(_RUNNING, _do("network", "create", "net2")),
        _try("network", "connect", "net2", "box"),
        _all(_STARTS, _is_gone("box"), _do("network", "rm", "net2")),
    ),
    Verb(
        "network disconnect",
        _all(_RUNNING, _do("network", "create", "net2"), _do("network", "connect", "net2", "box")),
        _try("network", "disconnect", "net2", "box"),
        _all(_STARTS, _is_gone("box"), _do("network", "rm", "net2")),
    ),
    Verb("volume create", _nothing, _try("volume", "create", "vol2"), _try("volume", "rm", "vol2")),
    Verb("volume rm", _do("volume", "create", "vol2"), _try("volume", "rm", "vol2"), _try("volume", "rm", "vol2")),
    Verb("build", _nothing, _build, _all(_build, _do("rmi", "built"))),
    Verb("pull", _nothing, _pulled, _pulled_and_removed),
    Verb("load", _saved, lambda engine: engine.docker("load", "-i", engine.root / "image.tar", check=False), _nothing),
    Verb("rmi", _layered, _try("rmi", "committed"), _try("rmi", "committed")),
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running, static_registry() as registry:
        (running.root / "registry").write_text(f"{registry}/x:1")
        running.stop()
        running.launcher = ("killing", running.root / "arm")
        running.start()
        running.docker("network", "create", "own")
        yield running
        (running.root / "arm").unlink(missing_ok=True)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_that_the_daemon_did_not_outlive_leaves_nothing_half_made(engine: RunningEngine, verb: Verb) -> None:
    total = len(steps_of(engine, verb))
    assert total > 0
    points = range(1, total + 1)
    for point in points if LONG else points[:: max(1, total // POINTS)]:
        once(engine, verb, point)


def steps_of(engine: RunningEngine, verb: Verb) -> list[str]:
    once(engine, verb, 10**6)
    return (engine.root / "arm.steps").read_text().splitlines()


def once(engine: RunningEngine, verb: Verb, point: int) -> None:
    verb.before(engine)
    settles(engine)
    (engine.root / "arm.steps").write_text("")
    with open(engine.root / "arm", "wb") as arm:
        arm.truncate(point)
    try:
        verb.act(engine)
    finally:
        (engine.root / "arm").unlink()
    restarted(engine)
    try:
        settles(engine)
        verb.after(engine)
        tidy(engine)
        settles(engine)
    except AssertionError as error:
        told = (engine.root / "arm.steps").read_text().splitlines()[-1:]
        raise AssertionError(f"{verb.name}, killed before step {point} {told}: {error}") from None


def restarted(engine: RunningEngine) -> None:
    """Started again if it has died; a kill that comes in the background may still be on its way."""
    assert engine.process is not None
    if engine.process.poll() is None:
        engine.kill()
    engine.start()


def tidy(engine: RunningEngine) -> None:
    engine.remove_everything()
    engine.docker("volume", "prune", "-af", check=False)
    for name in engine.out("volume", "ls", "-q").split():
        engine.docker("volume", "rm", name)
    engine.docker("network", "prune", "-f")
    if "own" not in engine.out("network", "ls", "--format", "{{.Name}}").split():
        engine.docker("network", "create", "own")
