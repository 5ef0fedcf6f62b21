"""Programs as sealed copies in memory, for runc.

Before it enters a container runc makes sure that nothing inside can overwrite its program through /proc/self/exe: it
mounts or copies itself anew, every time, and a mount waits for all processors. A memory file that is sealed against
writing needs neither, and runc sees that. So the engine makes one such copy when it starts.
"""

from __future__ import annotations

import fcntl
import os
import subprocess

_EXEC = 0x10  # MFD_EXEC, from Linux 6.3 on; older kernels refuse it
_ADD_SEALS, _ALL_SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8


def copy(program: str) -> str | None:
    """A path to run the sealed copy by, good for the life of this process; None where the host does not let us."""
    try:
        handle = _sealed(program)
    except OSError:
        return None
    path = f"/proc/{os.getpid()}/fd/{handle}"
    try:
        works = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        works = False
    if not works:
        os.close(handle)
        return None
    return path


def _sealed(program: str) -> int:
    flags = os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC
    name = os.path.basename(program)
    try:
        handle = os.memfd_create(name, flags | _EXEC)
    except OSError:
        handle = os.memfd_create(name, flags)
    try:
        with open(program, "rb") as source:
            offset = 0
            while sent := os.sendfile(handle, source.fileno(), offset, 2**24):
                offset += sent
        os.fchmod(handle, 0o755)
        fcntl.fcntl(handle, _ADD_SEALS, _ALL_SEALS)
    except OSError:
        os.close(handle)
        raise
    return handle
