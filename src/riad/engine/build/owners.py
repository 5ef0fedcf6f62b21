"""Users and groups by name or number, looked up in an image's own /etc/passwd and /etc/group."""

from __future__ import annotations

from dataclasses import dataclass

from riad.engine.build.tree import Kind, Tree, resolve
from riad.kernel.faults import invalid

_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Owner:
    uid: int
    gid: int


def owner(text: str, passwd: str, group: str) -> Owner:
    """`user[:group]` for --chown. Raises INVALID for a name that the files do not have.

    A lone number is user and group alike; a lone name brings its primary group (Dockerfile reference, "COPY --chown").
    """
    user, colon, group_name = text.partition(":")
    uid, primary = _user(user, passwd)
    if colon and group_name:
        return Owner(uid, _group(group_name, group))
    return Owner(uid, uid if primary is None else primary)


def _user(text: str, passwd: str) -> tuple[int, int | None]:
    if (number := _number(text)) is not None:
        return number, None
    for fields in _lines(passwd, 4):
        if fields[0] == text and (uid := _number(fields[2])) is not None:
            return uid, _number(fields[3])
    raise invalid(f"--chown: can't find uid for user {text}: no such user: {text} in the image's /etc/passwd")


def _group(text: str, group: str) -> int:
    if (number := _number(text)) is not None:
        return number
    for fields in _lines(group, 3):
        if fields[0] == text and (gid := _number(fields[2])) is not None:
            return gid
    raise invalid(f"--chown: can't find gid for group {text}: no such group: {text} in the image's /etc/group")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 and int(text) < 2**32 - 1 else None


def _lines(text: str, fields: int) -> list[list[str]]:
    return [parts for line in text.splitlines() if len(parts := line.strip().split(":")) >= fields]


def read_small(tree: Tree, path: str, root: str) -> str:
    """A small text file of a mounted image, links followed inside it; "" where there is none."""
    node = resolve(tree, path)
    if node is None or node.kind is not Kind.FILE or node.size > _LARGEST_FILE:
        return ""
    with open(f"{root}/{node.path}", encoding="utf-8", errors="replace") as file:
        return file.read()
