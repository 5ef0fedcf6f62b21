"""A folder as the tar that builders take, without what its ignore file takes out."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from riad.dockerfile.ignore import IgnoreFile, parse_ignore
from riad.kernel.faults import invalid

_PIECE = 1 << 18


async def folder_context(folder: Path, dockerfile: str) -> AsyncIterator[bytes]:
    """The tar in pieces; owners are root's. `dockerfile` is relative to `folder` and always comes along.

    Raises INVALID for a folder or Dockerfile that is not there.
    """
    if not folder.is_dir():
        raise invalid(f"unable to prepare context: path {str(folder)!r} not found")
    if not (folder / dockerfile).is_file():
        raise invalid(f"failed to read dockerfile: {folder / dockerfile} does not exist")
    pieces = _pieces(folder, dockerfile)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _pieces(folder: Path, dockerfile: str) -> Iterator[bytes]:
    ignore = _ignore(folder, dockerfile)
    kept = {dockerfile, f"{dockerfile}.dockerignore", ".dockerignore"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in _walk(folder, ignore, kept):
            if stat.S_ISSOCK((folder / path).lstat().st_mode):
                continue  # no archive holds one
            member = tar.gettarinfo(str(folder / path), arcname=path)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            if not member.isreg():
                tar.addfile(member)
                continue
            with (folder / path).open("rb") as file:
                tar.addfile(member, file)
            if buffer.tell() >= _PIECE:
                yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.BytesIO) -> bytes:
    data = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return data


def _ignore(folder: Path, dockerfile: str) -> IgnoreFile:
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (folder / name).is_file():
            return parse_ignore((folder / name).read_text(errors="replace"))
    return IgnoreFile(())


def _walk(folder: Path, ignore: IgnoreFile, kept: set[str]) -> Iterator[str]:
    """Relative paths, parents first. An ignored folder is entered only where something in it may be brought back."""
    back = any(pattern.negated for pattern in ignore.patterns) or any("/" in name for name in kept)
    for top, folders, files in os.walk(folder):
        relative = os.path.relpath(top, folder)
        prefix = "" if relative == "." else f"{relative}/"
        for name in sorted(folders):
            if ignore.excludes(prefix + name):
                if not back:
                    folders.remove(name)
            else:
                yield prefix + name
        folders.sort()
        yield from (
            prefix + name for name in sorted(files) if prefix + name in kept or not ignore.excludes(prefix + name)
        )
