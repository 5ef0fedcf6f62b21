"""Whether the package mirror has newer packages than a kept base image, found out without making it anew.

The image's own dpkg status is given to an apt of its own, which simulates an upgrade from the recipe's sources. Only
what would change is told; an image for which that is nothing keeps its bytes, and with them its digest.
"""

from __future__ import annotations

import asyncio
import os
import re
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from riad.base.build import Ingredients, Kept
from riad.kernel.faults import Fault, Kind, unavailable
from riad.kernel.process import run

_STATUS = ("./var/lib/dpkg/status", "var/lib/dpkg/status")
_UPGRADE = re.compile(r"^Inst (\S+) \[(\S+)\] \((\S+)", re.MULTILINE)
_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Upgrade:
    package: str
    before: str
    after: str


async def upgrades(found: Kept, wanted: Ingredients) -> list[Upgrade]:
    """What a new build would have newer. Raises UNAVAILABLE where the mirror does not answer."""
    with tempfile.TemporaryDirectory(prefix="riad-base-") as scratch:
        root = Path(scratch)
        for folder in ("state/lists/partial", "cache/archives/partial", "etc"):
            (root / folder).mkdir(parents=True)
        (root / "status").write_bytes(await asyncio.to_thread(_status, found.tar))
        (root / "etc/sources.list").write_text("".join(source.line() + "\n" for source in wanted.sources))
        await _apt(root, "update")
        return parse(await _apt(root, "--simulate", "dist-upgrade"))


def parse(simulated: str) -> list[Upgrade]:
    """The lines `Inst NAME [OLD] (NEW …)` of `apt-get --simulate`."""
    return [Upgrade(*match) for match in _UPGRADE.findall(simulated)]


def _status(tar: Path) -> bytes:
    with tarfile.open(tar, "r|") as archive:
        for entry in archive:
            if entry.name in _STATUS:
                content = archive.extractfile(entry)
                assert content is not None
                return content.read()
    raise Fault(Kind.INTERNAL, f"{tar} has no package list; make it anew: riad base build --refresh")


async def _apt(root: Path, *arguments: str) -> str:
    options = {
        "Dir::State": root / "state",
        "Dir::State::status": root / "status",
        "Dir::Cache": root / "cache",
        "Dir::Etc::SourceList": root / "etc/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = await run(["apt-get", "-q", *settings, *arguments], timeout=_TIMEOUT, environ=environ, check=False)
    if done.code != 0 or b"\nE: " in done.stderr or b"Failed to fetch" in done.stderr:
        raise unavailable(f"the package mirror of this host does not answer: {done.said()}")
    return done.stdout.decode(errors="replace")
