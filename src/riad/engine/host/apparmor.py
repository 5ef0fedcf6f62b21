"""AppArmor: whether the kernel has it, and loading the profile that confines containers there."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from importlib import resources
from pathlib import Path

from riad.kernel.faults import Fault, Kind

DEFAULT = "riad-default"
_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_LOADED = Path("/sys/kernel/security/apparmor/profiles")


@cache
def supported() -> bool:
    """The kernel confines by AppArmor, and its loader is installed."""
    try:
        return _ENABLED.read_text().startswith("Y") and shutil.which("apparmor_parser") is not None
    except OSError:
        return False


def load_default() -> None:
    """Makes the kernel know the profile `riad-default`. Raises UNAVAILABLE with the loader's reason."""
    if any(name == DEFAULT for name in _loaded()):
        return
    text = resources.files(__package__).joinpath("apparmor.txt").read_text()
    done = subprocess.run(
        ["apparmor_parser", "--replace", "--write-cache"],
        input=text,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise Fault(Kind.UNAVAILABLE, f"apparmor_parser does not take the profile {DEFAULT}: {done.stderr.strip()}")


def _loaded() -> list[str]:
    try:
        return [line.partition(" ")[0] for line in _LOADED.read_text().splitlines()]
    except OSError:
        return []
