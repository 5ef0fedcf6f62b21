"""The one tar that is put into a job's box: checkout, artifacts of other jobs, cache, script, file variables, tools."""

from __future__ import annotations

import io
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from riad.pipelines.runner.executor import Owner
from riad.pipelines.runner.script_text import RUN

IN_MEMORY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contents:
    """`folder` is the project's inside; `archives` are zips unpacked there, in order. `tools` (executable) and
    `secrets` (only for the job's user to read) are files by absolute path; `links` are symbolic links to targets.
    """

    folder: str
    checkout: BinaryIO | None
    archives: Sequence[BinaryIO]
    script: str
    secrets: Mapping[str, str]
    tools: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)


def pack(contents: Contents, owner: Owner, *, now: float) -> BinaryIO:
    """The tar, rewound. Blocking."""
    out = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 -- the executor closes it
    try:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            packer = _Packer(tar, owner, now)
            packer.folders(contents.folder)
            if contents.checkout is not None:
                packer.checkout(contents.checkout, contents.folder)
            for archive in contents.archives:
                packer.archive(archive, contents.folder)
            for path, content in contents.secrets.items():
                packer.folders(path.rpartition("/")[0])
                packer.file(path, content.encode(), 0o600)
            packer.file(RUN, contents.script.encode(), 0o755)
            for path, data in contents.tools.items():
                packer.file(path, data, 0o755, Owner())
            for path, target in contents.links.items():
                packer.link(path, target)
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return cast(BinaryIO, out)


def pack_script(script: str, *, now: float) -> BinaryIO:
    """A tar that replaces the script only."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _Packer(tar, Owner(), now).file(RUN, script.encode(), 0o755)
    out.seek(0)
    return out


class _Packer:
    def __init__(self, tar: tarfile.TarFile, owner: Owner, now: float) -> None:
        self._tar = tar
        self._owner = owner
        self._now = now
        self._made: set[str] = set()

    def _own(self, member: tarfile.TarInfo, owner: Owner | None = None) -> tarfile.TarInfo:
        who = owner or self._owner
        member.uid, member.gid, member.uname, member.gname = who.uid, who.gid, "", ""
        return member

    def folders(self, path: str) -> None:
        """`path` and the folders above it."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            if name not in self._made:
                self._made.add(name)
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, self._now
                self._tar.addfile(self._own(member))

    def file(self, path: str, data: bytes, mode: int, owner: Owner | None = None) -> None:
        member = tarfile.TarInfo(path.strip("/"))
        member.size, member.mode, member.mtime = len(data), mode, self._now
        self._tar.addfile(self._own(member, owner), io.BytesIO(data))

    def link(self, path: str, target: str) -> None:
        member = self._own(tarfile.TarInfo(path.lstrip("/")), Owner())
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
        self._tar.addfile(member)

    def checkout(self, source: BinaryIO, folder: str) -> None:
        prefix = folder.strip("/")
        with source, tarfile.open(fileobj=source, mode="r|*") as given:
            for member in given:
                name = member.name.removeprefix("./").strip("/")
                if not name or name == ".":
                    continue
                member.name = f"{prefix}/{name}"
                if member.islnk():
                    member.linkname = f"{prefix}/{member.linkname.removeprefix('./')}"
                member.pax_headers = {}
                self._tar.addfile(self._own(member), given.extractfile(member) if member.isreg() else None)

    def archive(self, source: BinaryIO, folder: str) -> None:
        """Our own zips: names were checked when they were made, and are again."""
        prefix = folder.strip("/")
        with source, zipfile.ZipFile(source) as given:
            for entry in given.infolist():
                name = entry.filename.strip("/")
                if not name or name.startswith("/") or ".." in name.split("/"):
                    continue
                mode = entry.external_attr >> 16
                if "/" in name:
                    self.folders(f"{prefix}/{name.rpartition('/')[0]}")
                if entry.is_dir():
                    self.folders(f"{prefix}/{name}")
                elif stat.S_ISLNK(mode):
                    member = tarfile.TarInfo(f"{prefix}/{name}")
                    member.type, member.linkname = tarfile.SYMTYPE, given.read(entry).decode()
                    member.mtime = self._now
                    self._tar.addfile(self._own(member))
                else:
                    member = tarfile.TarInfo(f"{prefix}/{name}")
                    member.size, member.mode, member.mtime = entry.file_size, mode & 0o7777 or 0o644, self._now
                    with given.open(entry) as data:
                        self._tar.addfile(self._own(member), data)
