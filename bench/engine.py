"""Riad's container engine beside dockerd and podman: the same docker CLI, the same image, turn by turn in one run.

    python bench/peers.py fetch          once: the other engines, into .cache
    python bench/engine.py               every row of `engine_rows.ROWS`
    python bench/engine.py --only run,exec --repeat 20 --peers riad,dockerd

Each engine runs in a room of its own (see `peers`). A row's repetitions go round the engines, each time begun by
another, so that noise meets all alike; medians are compared with dockerd's. Says for each row whether its bar is met,
and ends with 1 where one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path

import engine_rows
import peers
from engine_rows import Row

REFERENCE = "dockerd"
_SETTLE = 0.2
"""Seconds before each sample: what an engine still tidies up must not be the next one's loss."""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"rows, of {','.join(row.name for row in engine_rows.ROWS)}")
    parser.add_argument("--peers", default="riad,dockerd,podman", help="engines, of riad,dockerd,podman")
    parser.add_argument("--repeat", type=int, help="repetitions of each row, instead of the row's own number")
    parser.add_argument("--containers", type=int, default=500, help="known containers, and published ports")
    parser.add_argument("--size", type=int, default=1024, help="MiB through logs, attach and the network")
    parser.add_argument("--json", type=Path, help="a file for the raw samples")
    return parser.parse_args(arguments)


def main() -> int:
    asked = options()
    rows = [row for row in engine_rows.ROWS if not asked.only or row.name in asked.only.split(",")]
    samples: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        engines = []
        for name in asked.peers.split(","):
            try:
                engines.append(
                    engine_rows.Engine(stack.enter_context(peers.running(name)), asked.containers, asked.size)
                )
            except peers.AbsentError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
        for engine in engines:
            engine.load_image()
        print(heading([engine.name for engine in engines]), flush=True)
        met = True
        for row in rows:
            samples[row.name] = measure(row, engines, asked.repeat or row.repeat)
            line, good = verdict(row, samples[row.name])
            met &= good
            print(line, flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(samples, indent=1))
    return 0 if met else 1


def measure(row: Row, engines: list[engine_rows.Engine], repeat: int) -> dict[str, list[float]]:
    """Samples by engine. An engine that cannot do the row has none, and says why on stderr."""
    found: dict[str, list[float]] = {engine.name: [] for engine in engines}
    able = []
    for engine in engines:
        try:
            row.before(engine)
            able.append(engine)
        except engine_rows.RefusedError as error:
            print(f"{row.name}: {engine.name} is left out: {error}", file=sys.stderr)
    try:
        for number in range(repeat + row.warm):
            turn = number % max(1, len(able))
            for engine in [*able[turn:], *able[:turn]]:
                time.sleep(_SETTLE)
                try:
                    value = row.once(engine)
                except engine_rows.RefusedError as error:
                    print(f"{row.name}: {engine.name} is left out: {error}", file=sys.stderr)
                    able.remove(engine)
                    continue
                if number >= row.warm:
                    found[engine.name].append(value)
    finally:
        for engine in engines:
            engine.clear()
    return found


def heading(names: list[str]) -> str:
    return f"{'row':<42}{''.join(f'{name:>12}' for name in names)}{'× dockerd':>11}{'bar':>8}  verdict"


def verdict(row: Row, samples: dict[str, list[float]]) -> tuple[str, bool]:
    medians = {name: statistics.median(values) if values else None for name, values in samples.items()}
    cells = "".join(f"{'–' if value is None else f'{value:.4g} {row.unit}':>12}" for value in medians.values())
    own, other = medians.get("riad"), medians.get(REFERENCE)
    if own is None or not other:
        return f"{row.title:<42}{cells}", True
    ratio = own / other
    good = ratio >= row.bar if row.more_is_better else ratio <= row.bar
    bar = f"{'≥' if row.more_is_better else '≤'} {row.bar:.2f}"
    return f"{row.title:<42}{cells}{ratio:>11.2f}{bar:>8}  {'met' if good else 'MISSED'}", good


if __name__ == "__main__":
    sys.exit(main())
