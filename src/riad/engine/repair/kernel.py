"""Orphans that are in the kernel: mounts, links, firewall elements, control groups, processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from riad.engine.host import cgroups, mounts
from riad.engine.host.netlink import Netlink
from riad.engine.repair.known import Known, Places
from riad.engine.repair.orphans import Orphan
from riad.kernel import process
from riad.kernel.faults import Fault

BUILDS = "build"
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_HELPERS = frozenset({"conmon", "runc", "crun"})
_SETS = ("published", "opened")


def orphaned_mounts(known: Known, places: Places) -> Iterator[Orphan]:
    for point in mounts.mounted_under(places.data / "containers"):
        if point.name == "root" and point.parent.name not in known.alive:
            yield Orphan("mount", str(point))
    for point in mounts.mounted_under(places.run / "netns"):
        if point.name not in known.sandboxes:
            yield Orphan("network namespace", str(point))


def orphaned_links(known: Known, places: Places) -> Iterator[Orphan]:
    prefix, alias = f"rv{places.instance[:6]}", f"riad {places.instance}"
    wanted = {f"{prefix}{number:x}" for number in known.endpoints} | known.links
    with Netlink() as host:
        for link in host.links():
            ours = link.name.startswith(prefix) or link.alias == alias or link.alias.startswith(f"{alias} ")
            if ours and link.name not in wanted:
                yield Orphan("link", link.name)


async def orphaned_elements(known: Known, places: Places) -> list[Orphan]:
    """Published ports in the engine's table that no container has. The name is what `nft delete element` takes."""
    try:
        done = await process.run(["nft", "-j", "list", "table", "inet", places.table], timeout=30, check=False)
    except Fault:
        return []
    if done.code != 0:
        return []
    found = []
    for entry in json.loads(done.stdout)["nftables"]:
        about = entry.get("map") or entry.get("set")
        if about and about["name"].startswith(_SETS):
            found += [
                Orphan("firewall element", f"{places.table} {about['name']} {{ {' . '.join(key)} }}")
                for key in map(_key, about.get("elem", ()))
                if len(key) >= 2 and (key[-2], _number(key[-1])) not in known.ports
            ]
    return found


def _key(element: Any) -> list[str]:
    """The parts of an element's key: maps have pairs of key and value, sets the key alone."""
    key = element[0] if isinstance(element, list) else element
    return [str(part) for part in key["concat"]] if isinstance(key, dict) and "concat" in key else [str(key)]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


def orphaned_groups(known: Known, places: Places) -> Iterator[Orphan]:
    for name in sorted(cgroups.children(places.group) - known.alive - {BUILDS}):
        yield Orphan("control group", f"{places.group}/{name}")


def orphaned_processes(known: Known, places: Places) -> Iterator[Orphan]:
    """Helpers that carry the engine's folders in their command and the id of no living container."""
    for number, words in _commands():
        if Path(words[0]).name not in _HELPERS or not any(str(places.run) in word for word in words):
            continue
        ids = {found for word in words for found in _ID.findall(word)}
        if ids and not ids & known.alive:
            yield Orphan("process", f"{number} {' '.join(words)[:200]}")


def _commands() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue
            if words:
                yield int(folder.name), words
