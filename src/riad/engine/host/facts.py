"""What this host is: kernel, processor, limits of our own process. Read once."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """Go's name of the processor, as images and clients use it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(char for char in minor if char.isdigit()) or 0)


def hard_limits() -> dict[str, int]:
    """RLIMIT_* → this process's hard limit, -1 for none."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"]
    return {name: resource.getrlimit(getattr(resource, name))[1] for name in names}


def oom_score_adj() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


def memory_total() -> int:
    """Bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def operating_system() -> str:
    for line in _lines("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return "Linux"


def boot_id() -> str:
    """Changes with every boot: what was running under another one is not running any more."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the process's begin, to tell it from a later one of the same number. None = gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def same_process(pid: int, ticks: int) -> bool:
    """Whether the process that was written down lives: numbers are used again, also across boots."""
    return pid > 0 and start_ticks(pid) == ticks


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
