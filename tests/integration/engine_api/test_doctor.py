"""The doctor finds this host good enough, with an engine and without one, and changes nothing on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine_fixture import running_engine

pytestmark = pytest.mark.root


def doctor(*flags: str | Path) -> tuple[int, list[dict[str, str]]]:
    command = [sys.executable, "-m", "riad.cli.main", "engine", "doctor", "--json", *flags]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)["findings"]


def test_a_host_that_runs_containers_has_no_problem() -> None:
    with running_engine() as engine:
        code, findings = doctor("-H", engine.host)
    assert code == 0, findings
    assert any("belongs to the engine with process number" in finding["found"] for finding in findings)
    assert all(finding["advice"] for finding in findings if finding["level"] != "good")


def test_without_an_engine_the_host_is_examined_alone(tmp_path: Path) -> None:
    code, findings = doctor("-H", f"unix://{tmp_path}/none.sock", "--data-root", tmp_path / "data")
    assert code == 0, findings
    assert {"overlay mounts", "bridges and links", "firewall rules"} <= {finding["what"] for finding in findings}
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_data_root_that_can_hold_no_layers_is_a_problem(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    options = f"lowerdir={parts[0]},upperdir={parts[1]},workdir={parts[2]}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, parts[3]], check=True)
    try:
        code, findings = doctor("-H", f"unix://{tmp_path}/none.sock", "--data-root", parts[3] / "data")
    finally:
        subprocess.run(["umount", parts[3]], check=True)
    assert code == 1
    assert any("can hold no layers" in finding["found"] for finding in findings)
