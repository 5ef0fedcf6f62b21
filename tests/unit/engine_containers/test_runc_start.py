"""Letting an init begin that waits at its pipe, and what is left to runc."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from riad.engine.host.runc_start import let_begin


def _init(script: str, fifo: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", script, str(fifo)])


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "exec.fifo"
    os.mkfifo(path)
    return path


async def test_an_init_that_writes_its_byte_has_begun_and_the_pipe_is_gone(fifo: Path) -> None:
    with _init('printf 0 > "$0"; exec sleep 60', fifo) as init:
        assert await let_begin(fifo, init.pid)
        assert not fifo.exists()
        assert init.poll() is None
        init.kill()


async def test_one_that_has_ended_after_its_byte_has_begun_too(fifo: Path) -> None:
    with _init('printf 0 > "$0"', fifo) as init:
        assert await let_begin(fifo, init.pid)


@pytest.mark.parametrize("script", ["exit 1", ': > "$0"'])
async def test_one_that_ends_without_it_has_not(fifo: Path, script: str) -> None:
    with _init(script, fifo) as init:
        assert not await let_begin(fifo, init.pid)
        assert fifo.exists()


async def test_where_there_is_no_pipe_runc_is_asked(tmp_path: Path) -> None:
    assert not await let_begin(tmp_path / "exec.fifo", os.getpid())
