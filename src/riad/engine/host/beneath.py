"""Opens names strictly beneath a root, whatever symbolic links strangers have put there, and whenever they change them.

openat2(2) with RESOLVE_IN_ROOT resolves a path as if the root were `/`: absolute links and `..` stay inside, without a
moment between looking and opening in which somebody could swap a directory for a link. Needs Linux 5.6.
"""

from __future__ import annotations

import ctypes
import errno
import os

_OPENAT2 = 437  # the same number on every architecture
_NO_MAGIC_LINKS, _IN_ROOT = 0x02, 0x10
_ATTEMPTS = 64


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def open_beneath(root: int, path: str, flags: int, *, mode: int = 0) -> int:
    """A descriptor of `path` inside the directory open as `root`. Raises OSError.

    The last part of the path is followed if it is a link, unless `flags` say O_NOFOLLOW.
    """
    how = _How(flags | os.O_CLOEXEC, mode, _IN_ROOT | _NO_MAGIC_LINKS)
    for _ in range(_ATTEMPTS):
        found: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found >= 0:
            return found
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed during the walk
            raise OSError(code, os.strerror(code), path)
    raise OSError(errno.EAGAIN, "the path is changed faster than it can be resolved", path)
