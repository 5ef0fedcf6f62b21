"""Builds on Riad beside BuildKit (dockerd's): the same buildx, the same files, turn by turn in one run.

    python bench/peers.py fetch          once: dockerd and buildx, into .cache
    python bench/build.py                every row; ends with 1 where a bar is not met
    python bench/build.py --only nothing,line --repeat 5

Bars are fractions of dockerd's median. `files` has twenty thousand files in its context.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers

BASE = "debian:bookworm"
_APP = f'FROM {BASE}\nWORKDIR /app\nCOPY needs .\nRUN sleep 0.2 && cat needs > /installed\nCOPY . .\nCMD ["true"]\n'
_STAGES = 8
_WORK = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"


def _app(folder: Path) -> None:
    (folder / "Dockerfile").write_text(_APP)
    (folder / "needs").write_text("flask\n")
    for number in range(20):
        (folder / f"module{number}.py").write_text("print(1)\n" * 50)


def _stages(folder: Path) -> None:
    stages = "".join(f"FROM {BASE} AS s{n}\nRUN : {n}; {_WORK}; echo {n} > /{n}\n" for n in range(_STAGES))
    copies = "".join(f"COPY --from=s{n} /{n} /\n" for n in range(_STAGES))
    (folder / "Dockerfile").write_text(f"{stages}FROM {BASE}\n{copies}")


def _files(folder: Path) -> None:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /src\n")
    for top in range(200):
        (folder / f"d{top}").mkdir()
        for number in range(100):
            (folder / f"d{top}/f{number}").write_text(f"{top} {number}\n" * 20)


def _nothing(_: Path, __: int) -> tuple[str, ...]:
    return ()


def _line(folder: Path, turn: int) -> tuple[str, ...]:
    (folder / "module3.py").write_text(f"print({turn}, {time.time()})\n")
    return ()


def _one_file(folder: Path, turn: int) -> tuple[str, ...]:
    (folder / "d7/f7").write_text(f"{turn} {time.time()}\n")
    return ()


def _anew(_: Path, __: int) -> tuple[str, ...]:
    return ("--no-cache",)


@dataclass(frozen=True, slots=True)
class Row:
    """`change` happens before each turn and gives further arguments; `bar` is the fraction that may be taken."""

    name: str
    what: str
    files: Callable[[Path], None]
    change: Callable[[Path, int], tuple[str, ...]]
    bar: float
    repeat: int


ROWS = (
    Row("nothing", "nothing changed", _app, _nothing, 0.5, 7),
    Row("line", "one source line changed", _app, _line, 0.6, 7),
    Row("cold", "all steps anew", _app, _anew, 1.0, 5),
    Row("stages", f"{_STAGES} independent stages of work", _stages, _anew, 1.0, 3),
    Row("files", "20,000 files, nothing changed", _files, _nothing, 0.5, 5),
    Row("changed", "20,000 files, one changed", _files, _one_file, 0.5, 3),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"rows, of {','.join(row.name for row in ROWS)}")
    parser.add_argument("--repeat", type=int, help="turns of each row, instead of the row's own number")
    asked = parser.parse_args()
    met = True
    with contextlib.ExitStack() as stack:
        engines = {name: stack.enter_context(peers.running(name)) for name in ("riad", "dockerd")}
        for peer in engines.values():
            command = [sys.executable, "-m", "riad.cli.main", "base", "build", BASE]
            subprocess.run(command, env=peer.environ, check=True, stdout=subprocess.DEVNULL)
        for row in ROWS:
            if not asked.only or row.name in asked.only.split(","):
                met &= _measure(row, engines, asked.repeat or row.repeat)
    return 0 if met else 1


def _measure(row: Row, engines: dict[str, peers.Peer], repeat: int) -> bool:
    taken: dict[str, list[float]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory(prefix="riad-bench-") as place:
        folders = {name: Path(place) / name / "app" for name in engines}
        for name, folder in folders.items():
            folder.mkdir(parents=True)
            row.files(folder)
            _build(engines[name], folder, ())
        for turn in range(repeat):
            for name, folder in folders.items():
                arguments = row.change(folder, turn)
                began = time.perf_counter()
                _build(engines[name], folder, arguments)
                taken[name].append(time.perf_counter() - began)
    ours, theirs = (statistics.median(taken[name]) for name in ("riad", "dockerd"))
    fraction = ours / theirs
    verdict = "met" if fraction <= row.bar else "NOT MET"
    print(
        f"{row.name:<8} {row.what:<34} riad {ours * 1000:6.0f} ms   dockerd {theirs * 1000:6.0f} ms   "
        f"{fraction:4.2f} of {row.bar:.1f}: {verdict}",
        flush=True,
    )
    return fraction <= row.bar


def _build(peer: peers.Peer, folder: Path, arguments: tuple[str, ...]) -> None:
    command = ["docker", "buildx", "build", "-q", "-t", "bench:1", *arguments, "."]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **peer.environ}, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{peer.name}: {done.stderr.decode()}")


if __name__ == "__main__":
    raise SystemExit(main())
