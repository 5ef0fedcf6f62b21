"""The hint that moves into control groups will follow: it changes nothing, and ends by itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from riad.engine.host import group_moves
from riad.engine.host.group_moves import GroupMoves


def _movers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "group-moves"]


def test_a_hint_moves_the_process_to_where_it_is_until_nobody_hints_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = threading.Event()
    monkeypatch.setattr(group_moves, "_stay", moved.set)
    before = Path("/proc/self/cgroup").read_text()
    moves = GroupMoves()
    moves.hasten()
    moves.hasten()
    assert len(_movers()) == 1
    assert moved.wait(10)
    for thread in _movers():
        thread.join(10)
    assert _movers() == []
    assert Path("/proc/self/cgroup").read_text() == before


def test_a_host_that_lets_nobody_move_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(group_moves, "_stay", refused)
    moves = GroupMoves()
    for _ in range(2):
        moves.hasten()
        for thread in _movers():
            thread.join(10)
    assert _movers() == []


@pytest.mark.root
def test_the_group_of_this_process_is_one_that_lists_it() -> None:
    before = Path("/proc/self/cgroup").read_text()
    group_moves._stay()
    assert Path("/proc/self/cgroup").read_text() == before
    assert str(group_moves.own_group()).startswith("/sys/fs/cgroup")
