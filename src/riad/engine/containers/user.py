"""Who a process runs as: `USER` or `-u`, looked up in the passwd and group files of the container itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.engine.containers.spec import User
from riad.engine.images.beneath import open_directory
from riad.kernel.faults import invalid

_LIMIT = 2**20
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Account:
    user: User
    home: str = "/"


def resolve(wanted: str, *, passwd: str, group: str, extra: Sequence[str] = ()) -> Account:
    """`name`, `uid`, `name:group`, `uid:gid`; `extra` are `--group-add`. Raises INVALID with Docker's sentences."""
    name, _, group_name = wanted.partition(":")
    accounts = [row for row in _rows(passwd, 6) if row[2].isdigit() and row[3].isdigit()]
    groups = [row for row in _rows(group, 4) if row[2].isdigit()]
    found = next((row for row in accounts if row[0] == (name or "root")), None)
    if found is None and (name.isdigit() or not name):
        found = next((row for row in accounts if row[2] == str(int(name or 0))), None)
    if found is None and name and not name.isdigit():
        raise invalid(f"unable to find user {name}: no matching entries in passwd file")
    uid = int(found[2]) if found else int(name or 0)
    gid = int(found[3]) if found else 0
    additional: list[int] = []
    if group_name:
        gid = _gid(group_name, groups)
    elif found:
        additional = [int(row[2]) for row in groups if found[0] in row[3].split(",")]
    additional += [_gid(text, groups) for text in extra]
    for number in (uid, gid, *additional):
        if number > _LARGEST:
            raise invalid(f"uids and gids must be in range 0-{_LARGEST}")
    # The main group is listed too: a process that drops its groups and asks for them again expects it there.
    listed = tuple(dict.fromkeys((gid, *additional)))
    return Account(User(uid, gid, listed), found[5] if found and found[5] else "/")


def _gid(wanted: str, groups: Sequence[Sequence[str]]) -> int:
    for row in groups:
        if row[0] == wanted:
            return int(row[2])
    if wanted.isdigit():
        return int(wanted)
    raise invalid(f"unable to find group {wanted}: no matching entries in group file")


def _rows(text: str, length: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        row = line.strip().split(":")
        if len(row) >= length and not line.startswith("#"):
            yield row


def account_in(root: Path, wanted: str, extra: Sequence[str] = ()) -> Account:
    """Looks `wanted` up in the files of a root filesystem, whose links cannot lead outside of it."""
    return resolve(wanted, passwd=_read_etc(root, "passwd"), group=_read_etc(root, "group"), extra=extra)


def _read_etc(root: Path, name: str) -> str:
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = open_directory(top, b"etc")
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        return ""
    finally:
        os.close(top)
    with open(handle, "rb") as file:
        return file.read(_LIMIT).decode(errors="replace")
