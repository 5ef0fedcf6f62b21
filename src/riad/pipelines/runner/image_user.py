"""Which numbers stand behind an image's USER, so that a job's files belong to whoever runs the job. Pure."""

from __future__ import annotations

import io
import tarfile

from riad.pipelines.runner.executor import Owner


def owner_of(user: str, passwd_tar: bytes) -> Owner:
    """`user` as the image has it (NAME, UID, NAME:GROUP, UID:GID); `passwd_tar` a tar of /etc/passwd, or nothing.

    A name that is not in there counts as root: the job then fails on its own rights, with the engine's message.
    """
    name, _, group = user.partition(":")
    known = _users(passwd_tar)
    if name.isdigit():
        uid = int(name)
        gid = next((g for u, g in known.values() if u == uid), 0)
    else:
        uid, gid = known.get(name, (0, 0))
    return Owner(uid, int(group) if group.isdigit() else gid)


def _users(passwd_tar: bytes) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for line in _text(passwd_tar).splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdigit() and fields[3].isdigit():
            found[fields[0]] = (int(fields[2]), int(fields[3]))
    return found


def _text(passwd_tar: bytes) -> str:
    try:
        with tarfile.open(fileobj=io.BytesIO(passwd_tar)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    return file.read(1024 * 1024).decode(errors="replace")
    except tarfile.TarError:
        pass
    return ""
