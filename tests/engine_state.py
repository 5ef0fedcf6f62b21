"""What an engine has on its host, looked at from outside, and whether its containers and networks explain it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine_fixture import RunningEngine, wait_until

_CGROUPS = Path("/sys/fs/cgroup")


def instance(engine: RunningEngine) -> str:
    return hashlib.sha256(os.fsencode((engine.root / "data").resolve())).hexdigest()[:8]


def settles(engine: RunningEngine) -> None:
    """Waits until nothing is there that has no owner. Fails with what has none."""
    found: list[str] = []

    def clean() -> bool:
        found[:] = unexplained(engine)
        return not found

    wait_until(clean, what=lambda: f"left over: {found}\n{engine.log()[-3000:]}")


def unexplained(engine: RunningEngine) -> list[str]:
    """Everything of the engine on this host that none of its containers, images, networks and volumes accounts for."""
    containers = _inspected(engine, "container", engine.out("ps", "-aq", "--no-trunc").split())
    running = {entry["Id"] for entry in containers if entry["State"]["Running"]}
    return [
        *_odd_states(containers),
        *_mounts(engine, running),
        *_files(engine, {entry["Id"] for entry in containers}, running),
        *_links(engine),
        *_elements(engine, containers),
        *(f"cgroup {name}" for name in _groups(engine) - running - {"build"}),
        *_processes(engine, running),
        *_database(engine),
    ]


def _inspected(engine: RunningEngine, kind: str, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    found: list[dict[str, Any]] = json.loads(engine.docker(kind, "inspect", *ids, check=False).out or "[]")
    return found


def _odd_states(containers: list[dict[str, Any]]) -> Iterator[str]:
    for entry in containers:
        if entry["State"]["Status"] not in ("created", "running", "paused", "exited"):
            yield f"container {entry['Name']} is {entry['State']['Status']}"


def _mounts(engine: RunningEngine, running: set[str]) -> Iterator[str]:
    wanted = {str(engine.root / "data/containers" / name / "root") for name in running}
    wanted |= {str(engine.root / "run/netns" / name) for name in running}
    wanted.add(str(engine.root / "data"))  # a disk of a test's own
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    yield from (f"mount {point}" for point in points if point.startswith(f"{engine.root}/") and point not in wanted)
    missing = {point for point in wanted if point.endswith("/root")} - set(points)
    yield from (f"missing mount {point}" for point in missing)
    twice = {point for point in points if point in wanted and points.count(point) > 1}
    yield from (f"mounted twice {point}" for point in twice)


def _files(engine: RunningEngine, known: set[str], running: set[str]) -> Iterator[str]:
    data, run = engine.root / "data", engine.root / "run"
    for folder, owners in (
        (data / "containers", known),
        (run / "containers", running),
        (run / "netns", running),
        (run / "runtime", running),
        (run / "exits", known),
        (data / "trash", set()),
        (data / "incoming", set()),
    ):
        yield from (
            f"file {entry}" for entry in (folder.iterdir() if folder.is_dir() else ()) if entry.name not in owners
        )


def _links(engine: RunningEngine) -> Iterator[str]:
    own = instance(engine)
    links = {path.name for path in Path("/sys/class/net").iterdir() if _is_of(path, own)}
    networks = _inspected(engine, "network", engine.out("network", "ls", "-q", "--no-trunc").split())
    bridged = [entry for entry in networks if entry["Driver"] == "bridge"]
    ends = sum(len(entry["Containers"]) for entry in bridged)
    pairs = {name for name in links if name.startswith("rv")}
    if len(pairs) != ends:
        yield f"{len(pairs)} pairs of links for {ends} endpoints: {sorted(pairs)}"
    if len(links - pairs) != len(bridged):
        yield f"bridges {sorted(links - pairs)} for the networks {[entry['Name'] for entry in bridged]}"


def _is_of(link: Path, own: str) -> bool:
    try:
        return link.name.startswith(f"rv{own[:6]}") or (link / "ifalias").read_text().startswith(f"riad {own}")
    except OSError:  # it has gone meanwhile
        return False


def _elements(engine: RunningEngine, containers: list[dict[str, Any]]) -> Iterator[str]:
    table = subprocess.run(
        ["nft", "-j", "list", "table", "inet", f"riad_{instance(engine)}"], capture_output=True, check=False
    )
    maps = [entry["map"] for entry in json.loads(table.stdout or '{"nftables": []}')["nftables"] if "map" in entry]
    found = sum(len(entry.get("elem", ())) for entry in maps if entry["name"].startswith("published"))
    wanted = sum(
        len({(b["HostIp"], b["HostPort"]) for b in bindings or ()})
        for entry in containers
        if entry["State"]["Running"]
        for bindings in entry["NetworkSettings"]["Ports"].values()
    )
    if found != wanted:
        yield f"{found} published ports in nft, {wanted} of containers"


def _groups(engine: RunningEngine) -> set[str]:
    parent = f"riad-{instance(engine)}"
    folders = [*_CGROUPS.glob(parent), *_CGROUPS.glob(f"*/{parent}")]
    return {entry.name for folder in folders for entry in os.scandir(folder) if entry.is_dir()}


def _processes(engine: RunningEngine, running: set[str]) -> Iterator[str]:
    """conmon and the runtime carry the engine's folders in their commands."""
    seen: set[str] = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if not any(str(engine.root).encode() in word for word in words) or b"engine" in words:
            continue
        named = re.findall(r"\b[0-9a-f]{64}\b", b" ".join(words).decode(errors="replace"))
        seen |= set(named)
        if Path(words[0].decode()).name in ("conmon", "runc", "crun") and not set(named) & running:
            yield f"process {folder.name}: {b' '.join(words).decode(errors='replace')[:200]}"
    yield from (f"no conmon for {name}" for name in running - seen)


def _database(engine: RunningEngine) -> Iterator[str]:
    with sqlite3.connect(f"file:{engine.root}/data/state.db?mode=ro", uri=True) as state:
        checked = state.execute("PRAGMA integrity_check").fetchone()[0]
        layers = {str(row[0]) for row in state.execute("SELECT number FROM layer")}
    state.close()
    if checked != "ok":
        yield f"state.db: {checked}"
    there = {path.name for path in (engine.root / "data/layers").iterdir()}
    yield from (f"layer folder {name}" for name in there - layers)
    yield from (f"layer {name} without folder" for name in layers - there)


def totals(engine: RunningEngine) -> dict[str, int]:
    """How much of each kind the engine has on its host: to be compared with another moment."""
    own, root = instance(engine), str(engine.root)
    tables = subprocess.run(["nft", "list", "table", "inet", f"riad_{own}"], capture_output=True, check=False).stdout
    return {
        "mounts": sum(f" {root}/" in line for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "links": sum(_is_of(path, own) for path in Path("/sys/class/net").iterdir()),
        "namespaces": len(list((engine.root / "run/netns").iterdir())) if (engine.root / "run/netns").is_dir() else 0,
        "lines of firewall": len(tables.splitlines()),
        "control groups": len(_groups(engine)),
        "processes": sum(root in " ".join(words) for words in _commands()),
        "files": sum(len(files) for folder, _, files in os.walk(engine.root) if "/layers/" not in folder),
    }


def _commands() -> Iterator[list[str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                yield (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
