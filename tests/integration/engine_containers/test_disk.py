"""A disk that is full, read-only or another engine's: a clear word, nothing damaged, and it works again after."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine, wait_until
from engine_state import settles

pytestmark = [pytest.mark.root, pytest.mark.slow]
MIB = 1024**2
FULL = "no space left on device"


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """An ext4 of `size` bytes mounted on `place`."""
    image = place.with_name("disk.img")
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
    place.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, check=False).returncode != 0:
        pytest.skip("this host has no loop devices")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        image.unlink()


@pytest.fixture
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        running.stop()
        (running.root / "data").rename(running.root / "former")
        with small_disk(running.root / "data", 200 * MIB):
            subprocess.run(["cp", "-a", f"{running.root}/former/.", running.root / "data"], check=True)
            running.start()
            yield running
            fill(running, free=True)
            running.remove_everything()
            running.stop()
        running.root.joinpath("data").rmdir()
        (running.root / "former").rename(running.root / "data")


def fill(engine: RunningEngine, *, free: bool = False, leave: int = 0) -> None:
    """Takes all that is left of the disk but `leave` bytes, or gives it back."""
    ballast = engine.root / "data/ballast"
    if free:
        ballast.unlink(missing_ok=True)
        return
    with open(ballast, "wb", buffering=0) as file:
        about = os.statvfs(ballast)
        if leave:
            os.posix_fallocate(file.fileno(), 0, max(1, about.f_bavail * about.f_frsize - leave))
            return
        for piece in (MIB, 4096):
            try:
                while file.write(b"x" * piece):
                    pass
            except OSError:
                pass


def image_of(size: int) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return content.getvalue()


def check_whole(engine: RunningEngine) -> None:
    """Nothing half-made, and everything works."""
    settles(engine)
    assert engine.out("run", "--rm", BASE, "echo", "works") == "works"


def test_an_image_that_does_not_fit_is_refused_and_leaves_nothing(engine: RunningEngine) -> None:
    archive = engine.root / "big.tar"
    archive.write_bytes(image_of(300 * MIB))
    said = engine.docker("import", archive, "big", check=False)
    assert said.code != 0
    assert FULL in said.err.lower()
    assert engine.out("images", "-q", "big") == ""
    assert os.statvfs(engine.root / "data").f_bavail * 4096 > 100 * MIB
    check_whole(engine)


def test_a_build_that_fills_the_disk_says_so_and_leaves_nothing(engine: RunningEngine) -> None:
    context = engine.root / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {BASE}\nRUN head -c 300000000 /dev/zero > /big\n")
    said = engine.docker("build", "-t", "big", context, check=False)
    assert said.code != 0
    assert FULL in (said.err + said.out).lower()
    (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY big /big\n")
    (context / "big").write_bytes(os.urandom(150 * MIB))
    said = engine.docker("build", "-t", "big", context, check=False)
    assert said.code != 0
    assert FULL in (said.err + said.out).lower()
    check_whole(engine)


def test_a_copy_into_a_container_that_does_not_fit_is_refused(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "1000")
    big = engine.root / "big"
    big.write_bytes(os.urandom(300 * MIB))
    said = engine.docker("cp", big, "box:/big", check=False)
    assert said.code != 0
    assert FULL in said.err.lower()
    engine.docker("exec", "box", "rm", "-f", "/big")
    check_whole(engine)


def test_every_verb_on_a_full_disk_answers_and_works_again_with_space(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "talks", BASE, "sh", "-c", "while :; do echo line; sleep 0.01; done")
    engine.docker("create", "--name", "rests", BASE, "true")
    fill(engine)
    seen = []
    for words in (
        ("create", "--name", "new", BASE, "true"),
        ("start", "rests"),
        ("volume", "create", "vol"),
        ("network", "create", "net"),
        ("rename", "rests", "other"),
        ("tag", BASE, "tagged"),
        ("commit", "talks", "committed"),
    ):
        said = engine.docker(*words, check=False)
        seen.append((words, said.code, said.err))
        assert said.code == 0 or FULL in said.err.lower() or "full" in said.err.lower(), (words, said)
    engine.docker("ps", "-a")
    engine.docker("inspect", "talks")
    assert engine.out("exec", "talks", "echo", "on") == "on"
    engine.docker("logs", "--tail", "1", "talks")
    fill(engine, free=True)
    for name in ("new", "rests", "other"):
        engine.docker("rm", "-f", name, check=False)
    engine.docker("create", "--name", "new", BASE, "true")
    engine.docker("start", "new")
    engine.docker("volume", "create", "vol")
    engine.docker("rm", "-f", "talks")
    check_whole(engine)


def test_an_engine_that_is_killed_on_a_full_disk_starts_when_there_is_space(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "1000")
    fill(engine)
    engine.docker("create", BASE, "true", check=False)
    engine.docker("stop", "-t", "0", "box", check=False)
    engine.kill()
    fill(engine, free=True)
    engine.start()
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.Status}}", "box") in ("exited", "running"))
    engine.docker("start", "box")
    with sqlite3.connect(f"file:{engine.root}/data/state.db?mode=ro", uri=True) as state:
        assert state.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    state.close()


def start_another(*flags: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "riad.cli.main", "engine", *flags]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_a_full_disk_keeps_an_engine_from_starting_with_a_clear_word(engine: RunningEngine) -> None:
    engine.stop()
    fill(engine)
    started = start_another("--data-root", engine.root / "data", "--exec-root", engine.root / "run2", "-H", engine.host)
    fill(engine, free=True)
    engine.start()
    if started.returncode != 0:  # a new journal may still have fitted in
        assert b"Traceback" not in started.stderr
        assert FULL.encode() in started.stderr.lower() or b"full" in started.stderr


def test_a_read_only_data_root_is_named(engine: RunningEngine) -> None:
    engine.stop()
    subprocess.run(["mount", "-o", "remount,ro", engine.root / "data"], check=True)
    started = start_another("--data-root", engine.root / "data", "--exec-root", engine.root / "run2", "-H", engine.host)
    subprocess.run(["mount", "-o", "remount,rw", engine.root / "data"], check=True)
    engine.start()
    assert started.returncode == 1
    assert b"Traceback" not in started.stderr
    assert b"read-only" in started.stderr.lower()
    assert f"{engine.root}/data".encode() in started.stderr


def test_a_second_engine_on_the_same_data_or_socket_is_refused() -> None:
    with running_engine() as engine:
        same_data = start_another(
            "--data-root",
            engine.root / "data",
            "--exec-root",
            engine.root / "run2",
            "-H",
            f"unix://{engine.root}/2.sock",
        )
        assert (same_data.returncode, b"in use by another engine" in same_data.stderr) == (1, True)
        same_socket = start_another(
            "--data-root", engine.root / "data2", "--exec-root", engine.root / "run2", "-H", engine.host
        )
        assert (same_socket.returncode, b"another engine listens on" in same_socket.stderr) == (1, True)
        assert engine.docker("ps").code == 0
