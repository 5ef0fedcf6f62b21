"""Where bare repositories lie, and what a fresh one looks like.

A repository never runs anything of its own: no hooks (`core.hooksPath` names a folder that is none), no automatic
housekeeping, and its configuration file is written by Riad alone; nothing that is pushed can change it.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from riad.kernel.faults import Fault, Kind

CONFIG = """\
[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	hooksPath = /dev/null
	logAllRefUpdates = false
	fsync = committed,reference
	fsyncMethod = batch
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
	fsckObjects = true
	denyDeletes = false
	denyNonFastForwards = false
	denyDeleteCurrent = refuse
	advertisePushOptions = true
	updateServerInfo = false
[receive "fsck"]
	badTimezone = ignore
	missingSpaceBeforeDate = ignore
	zeroPaddedFilemode = ignore
[transfer]
	hideRefs = refs/riad
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
"""
"""The `receive.fsck` relaxations let in old histories of the kind that real projects have; nothing unsafe."""


class Repositories:
    """The bare repositories below `root`, by storage name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, storage: str) -> Path:
        if not storage.isalnum():
            raise ValueError(f"{storage!r} is not a storage name")
        return self._root / storage[:2] / f"{storage}.git"

    def existing(self, storage: str) -> Path:
        """Raises UNAVAILABLE where the folder is missing, which takes an administrator to mend."""
        path = self.path(storage)
        if not (path / "HEAD").exists():
            raise Fault(Kind.UNAVAILABLE, f"the repository's folder {path} is missing; restore it from a backup")
        return path

    def create(self, storage: str, *, default_branch: str) -> Path:
        path = self.path(storage)
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        (path / "config").write_text(CONFIG)
        (path / "info" / "attributes").write_text("")
        (path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        return path

    def remove(self, storage: str) -> None:
        """May be called again for what is gone. Moved aside first, so that nobody meets half of it."""
        path = self.path(storage)
        doomed = path.with_suffix(".deleted")
        with suppress(FileNotFoundError):
            path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
