"""`riad build` against a real engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import RunningEngine, running_engine

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def riad(engine: RunningEngine, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "riad.cli.main", "build", *args],
        capture_output=True, text=True, cwd=folder, env={**engine.environ, "FROM_ENV": "env"}, timeout=60,
    )  # fmt: skip


def test_an_image_is_built_and_named(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "other.Dockerfile").write_text(
        "FROM base:1 AS one\nARG A\nARG FROM_ENV\nCOPY file /file\nRUN echo $A $FROM_ENV >> /file\n"
        "FROM one\nRUN exit 1\n"
    )
    (tmp_path / "file").write_text("content\n")
    done = riad(
        engine, tmp_path, "-t", "made:1", "-f", "other.Dockerfile", "--target", "one", "--build-arg", "A=1",
        "--build-arg", "FROM_ENV", "--label", "l=m", "--iidfile", "id", ".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Successfully tagged made:1" in done.stdout
    assert engine.out("run", "--rm", "made:1", "cat", "/file") == "content\n1 env"
    assert engine.out("image", "inspect", "-f", "{{.Id}} {{.Config.Labels.l}}", "made:1") == (
        f"{(tmp_path / 'id').read_text()} m"
    )


def test_quiet_prints_the_image_alone(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base:1\n")
    assert riad(engine, tmp_path, "-q").stdout.startswith("sha256:")


def test_a_failure_ends_with_its_reason(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base:1\nRUN exit 3\n")
    done = riad(engine, tmp_path)
    assert done.returncode == 1
    assert done.stderr == "riad: The command '/bin/sh -c exit 3' returned a non-zero code: 3 (Dockerfile, line 2)\n"


def test_what_it_cannot_do_is_said(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base:1\n")
    done = riad(engine, tmp_path, "--secret", "id=x")
    assert done.returncode == 2
    assert "docker buildx build --secret" in done.stderr
