"""What the docker CLI says, word for word: the sections of `tests/cases/docker_cli/*.case`, recorded from dockerd.

    $ command        run by bash, with `docker` pointed at the engine
    ? 125            its exit code, where it is not 0
    > text           what it printed
    ! text           what it complained
    ~ why            this engine answers otherwise on purpose: what follows with `>`, `!` and `?` is its own answer
    = name           a section: begins without containers, networks and volumes

Ids, times, addresses and free ports are replaced by words before lines are compared. RIAD_TEST_RECORD=1 writes the
answers down: dockerd's with RIAD_TEST_ENGINES=dockerd (`python bench/peers.py room -- pytest THIS_FILE`), else those of
this engine that differ, for whoever records to say why.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine_fixture import RunningEngine

pytestmark = pytest.mark.root

_FOLDER = Path(__file__).resolve().parents[2] / "cases" / "docker_cli"
_RECORDS = "RIAD_TEST_RECORD" in os.environ
_HINTS = re.compile(r"^(Run 'docker .* --help' for more information|See 'docker .*|time=\"[^\"]*\" .*|)$")
"""What the client says of its own accord: how to be helped, what of a connection that the engine ends it still sent."""
_WORDS = (
    (r"sha256:[0-9a-f]{64}", "sha256:ID"),
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( UTC)?)", "TIME"),
    (r"(Less than a second|About an? (minute|hour)|\d+ (second|minute|hour)s?)( ago)?", "AGO"),
    (r"\b(10|172|192)\.\d+\.\d+\.\d+(?=\b)", "IP"),
    (r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
    (r"\b(3[2-9]\d{3}|[45]\d{4})\b", "PORT"),
    (r"endpoint \w+ \(", "endpoint NAME ("),
    (r"/tmp/[^ ]*/cases-", "/tmp/cases-"),
    (r"from 0.01 to .* CPUs available", "from 0.01 to N.00, as there are only N CPUs available"),
    (r"available: \d+(-\d+)?", "available: LIST"),
    (r"[ \t]+", " "),
)


@dataclass(slots=True)
class Step:
    """A command and what it answers; `own` is the answer of this engine where it differs on purpose."""

    command: str
    answer: list[str] = field(default_factory=list)
    why: str = ""
    own: list[str] = field(default_factory=list)


def read(text: str) -> dict[str, list[Step]]:
    """Section → steps."""
    sections: dict[str, list[Step]] = {}
    for line in text.splitlines():
        mark, rest = line[:2], line[2:]
        if mark == "= ":
            steps = sections.setdefault(rest, [])
        elif mark == "$ ":
            steps.append(Step(rest))
        elif mark == "~ ":
            steps[-1].why = rest
        elif mark[:1] in (">", "!", "?"):
            (steps[-1].own if steps[-1].why else steps[-1].answer).append(line)
    return sections


def written(sections: dict[str, list[Step]]) -> str:
    lines: list[str] = []
    for name, steps in sections.items():
        lines += ["", f"= {name}"] if lines else [f"= {name}"]
        for step in steps:
            lines += [f"$ {step.command}", *step.answer]
            if step.why:
                lines += [f"~ {step.why}", *step.own]
    return "\n".join(lines) + "\n"


def run(engine: RunningEngine, command: str, folder: Path) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=engine.environ, capture_output=True, check=False, timeout=60
    )
    found = [f"? {done.returncode}"] if done.returncode else []
    for mark, data in ((">", done.stdout), ("!", done.stderr)):
        lines = map(plain, data.decode(errors="replace").splitlines())
        found += [f"{mark} {line}" for line in lines if not _HINTS.match(line)]
    return found


def plain(line: str) -> str:
    for pattern, word in _WORDS:
        line = re.sub(pattern, word, line)
    return line.strip().removesuffix(".")  # clients before 27 end what the engine said with a full stop


def _sections() -> Iterator[object]:
    for path in sorted(_FOLDER.glob("*.case")):
        for name in read(path.read_text()):
            yield pytest.param(path, name, id=f"{path.stem}: {name}")


@pytest.mark.parametrize(("path", "name"), list(_sections()))
def test_the_cli_says_what_it_says_with_docker(
    engine: RunningEngine, path: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cases-")
    sections = read(path.read_text())
    wrong = []
    for step in sections[name]:
        said = run(engine, step.command, folder)
        if _RECORDS and engine.is_riad:
            step.why = "" if said == step.answer else step.why or "WHY?"
            step.own = said
        elif _RECORDS:
            step.answer = said
        elif said != step.answer and not (engine.is_riad and step.why and said == step.own):
            expected = step.own if engine.is_riad and step.why else step.answer
            wrong.append("\n".join([f"$ {step.command}", *expected, "--- said", *said]))
    if _RECORDS:
        path.write_text(written(sections))
    engine.remove_everything()
    engine.docker("network", "prune", "-f")
    engine.docker("volume", "prune", "-af")
    assert not wrong, "\n\n".join(wrong)
