"""Files of layers as they came, `blobs/sha256/HEX`: a push must send the digests that a pull got, and only they tell
the exact bytes of a stranger's tar.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from riad.oci.digest import Digest


class LayerBlobs:
    def __init__(self, root: Path, known: Collection[str]) -> None:
        """Removes the files that are not `known`: what was interrupted before its row was written."""
        self._folder = root / "blobs"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in self._folder.iterdir():
            for file in folder.iterdir():
                if f"{folder.name}:{file.name}" not in known:
                    file.unlink()

    def path(self, digest: Digest) -> Path:
        return self._folder / digest.algorithm / digest.hex

    def find(self, digest: Digest) -> Path | None:
        path = self.path(digest)
        return path if path.exists() else None

    def take(self, digest: Digest, file: Path) -> None:
        """Moves a verified file in."""
        path = self.path(digest)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        file.rename(path)

    def remove(self, digest: Digest) -> None:
        self.path(digest).unlink(missing_ok=True)
