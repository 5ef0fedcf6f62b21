"""The programs that the engine starts: which are here, how old, and whether they run on this host."""

from __future__ import annotations

import ctypes.util
import re
import shutil
import subprocess
from collections.abc import Iterator

from riad.engine.doctor.findings import Finding, good, note, problem, warning
from riad.engine.host import cgroups

_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
OLDEST_CONMON, OLDEST_RUNC = (2, 0, 20), (1, 0, 0)


def findings() -> Iterator[Finding]:
    v2 = cgroups.layout() is cgroups.Layout.V2
    yield from runtimes({name: said(name, "--version") for name in ("crun", "runc")}, v2=v2)
    yield conmon(said("conmon", "--version"))
    yield init({name for name in ("catatonit", "tini-static") if shutil.which(name)})
    yield nft(library=ctypes.util.find_library("nftables") is not None, program=shutil.which("nft") is not None)


def said(program: str, *arguments: str) -> str | None:
    """What it prints first; "" where it fails, None where it is not installed."""
    if shutil.which(program) is None:
        return None
    try:
        done = subprocess.run([program, *arguments], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").partition("\n")[0] if done.returncode == 0 else ""


def number(text: str) -> tuple[int, ...]:
    found = _NUMBER.search(text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def runtimes(versions: dict[str, str | None], *, v2: bool) -> Iterator[Finding]:
    """crun needs cgroup v2; runc works with both layouts."""
    usable = [name for name in (("crun", "runc") if v2 else ("runc",)) if versions.get(name)]
    for name, text in versions.items():
        if text == "":
            yield warning("runtime", f"{name} is installed and does not run", f"see what `{name} --version` says")
    if not usable:
        yield problem("runtime", "none that works here", "apt-get install runc" if not v2 else "apt-get install crun")
        return
    chosen = versions[usable[0]] or ""
    if usable[0] == "runc" and number(chosen) < OLDEST_RUNC:
        yield warning("runtime", chosen, "runc before 1.0 misses fixes of escapes; update it")
        return
    yield good("runtime", chosen)
    if not v2 and versions.get("crun"):
        yield note("runtime", "crun is installed and not used", "crun needs cgroup v2")


def conmon(text: str | None) -> Finding:
    if not text:
        return problem("conmon", "missing" if text is None else "does not run", "apt-get install conmon")
    if number(text) < OLDEST_CONMON:
        return warning("conmon", text, "older than 2.0.20: log rotation and half-closed input need that; update it")
    return good("conmon", text)


def init(there: set[str]) -> Finding:
    if not there:
        return note("init", "neither catatonit nor tini-static", "apt-get install catatonit, where --init is wanted")
    return good("init", min(there))


def nft(*, library: bool, program: bool) -> Finding:
    if library:
        return good("nftables", "by its library")
    if program:
        return note("nftables", "by the nft program", "apt-get install libnftables1: starts with ports get faster")
    return problem("nftables", "neither libnftables nor nft", "apt-get install nftables")
