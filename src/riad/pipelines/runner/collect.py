"""What a job made, out of its box: files by pattern, as a zip (artifacts, caches) or as they are (reports).

Only the folders that the patterns begin with are fetched. Sizes are bounded: of what is fetched and of one zip.
"""

from __future__ import annotations

import stat
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from riad.kernel.faults import Fault, Kind, exhausted
from riad.pipelines.language import globs
from riad.pipelines.runner.executor import Executor

MAX_ARCHIVE = 1024 * 1024 * 1024
MAX_REPORT = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """`untracked` takes whatever is not in `tracked` as well."""

    paths: Sequence[str]
    exclude: Sequence[str] = ()
    untracked: bool = False
    tracked: Collection[str] = ()

    def takes(self, path: str) -> bool:
        if path == ".git" or path.startswith(".git/") or any(globs.selects(p, path) for p in self.exclude):
            return False
        return any(globs.selects(p, path) for p in self.paths) or (self.untracked and path not in self.tracked)

    def roots(self) -> list[str]:
        """The folders to fetch, relative to the project's; "" is all of it."""
        if self.untracked:
            return [""]
        found = sorted({globs.fixed_part(pattern) for pattern in self.paths})
        return [r for r in found if not any(r != other and (not other or r.startswith(f"{other}/")) for other in found)]


class Fetched:
    """Tars of some folders of a box, on disk; a temporary folder that `close` removes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="riad-collect-")
        self._tars: list[tuple[str, Path]] = []

    def close(self) -> None:
        self._folder.cleanup()

    async def fetch(self, executor: Executor, box: str, folder: str, roots: Sequence[str]) -> None:
        """What is missing is passed over. Raises EXHAUSTED beyond MAX_ARCHIVE bytes."""
        total = 0
        for number, root in enumerate(roots):
            target = Path(self._folder.name) / f"{number}.tar"
            path = f"{folder}/{root}" if root else f"{folder}/."
            try:
                with target.open("wb") as file:
                    async for data in executor.fetch(box, path):
                        total += len(data)
                        if total > MAX_ARCHIVE:
                            raise exhausted(f"more than {MAX_ARCHIVE // 2**20} MiB of files")
                        file.write(data)
            except Fault as fault:
                if fault.kind is not Kind.NOT_FOUND:
                    raise
            else:
                self._tars.append((root, target))

    def entries(self) -> Iterator[tuple[str, tarfile.TarInfo, Callable[[], IO[bytes] | None]]]:
        """Every file and link: its path in the project, its header, and how to read it."""
        for root, path in self._tars:
            above = root.rpartition("/")[0]
            with tarfile.open(path, mode="r:*") as tar:
                for member in tar:
                    name = member.name.removeprefix("./").strip("/")
                    full = f"{above}/{name}" if above else name
                    if name and ".." not in full.split("/") and not member.isdir():
                        yield full, member, lambda tar=tar, member=member: tar.extractfile(member)  # type: ignore[misc]


def make_zip(fetched: Fetched, selection: Selection, out: BinaryIO) -> list[str]:
    """Writes the selected files; returns their paths. Blocking."""
    written: dict[str, None] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, member, read in fetched.entries():
            if path in written or not selection.takes(path):
                continue
            entry = zipfile.ZipInfo(path, _moment(member.mtime))
            if member.issym():
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, member.linkname)
            elif member.isreg() or member.islnk():
                entry.external_attr = (stat.S_IFREG | (member.mode & 0o777)) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                _copy(read(), archive, entry)
            else:
                continue
            written[path] = None
    return list(written)


def _copy(source: IO[bytes] | None, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if source is None:
        return
    with archive.open(entry, "w", force_zip64=True) as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)


def _moment(mtime: float) -> tuple[int, int, int, int, int, int]:
    at = time.gmtime(max(mtime, 315532800))  # zip begins in 1980
    return (min(at.tm_year, 2107), at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec)


def read_reports(fetched: Fetched, patterns: Sequence[str]) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Files that match; None in place of one that is too large. Blocking; read each before the next."""
    selection = Selection(patterns)
    for path, member, read in fetched.entries():
        if member.isreg() and selection.takes(path):
            yield path, read() if member.size <= MAX_REPORT else None
