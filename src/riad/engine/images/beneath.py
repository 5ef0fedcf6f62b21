"""Directories opened strictly beneath a root, whatever symbolic links a stranger's archive has put there.

openat2(2) with RESOLVE_IN_ROOT resolves a path as if the root were `/`: absolute links and `..` stay inside, and no
race can change that. Needs Linux 5.6.
"""

from __future__ import annotations

import ctypes
import errno
import os

from riad.kernel.faults import invalid

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10
_KEPT = 64


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_How), ctypes.c_size_t)


def open_directory(root: int, path: bytes) -> int:
    """A descriptor of directory `path` inside the directory `root`. Raises OSError."""
    how = _How(os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    found: int = _syscall(_OPENAT2, root, path or b".", ctypes.byref(how), ctypes.sizeof(how))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(path))
    return found


class Directories:
    """Descriptors of directories beneath one root, made where they are missing, kept while they are in use."""

    def __init__(self, root: int) -> None:
        self.root = root
        self._open: dict[bytes, int] = {}

    def get(self, path: bytes) -> int:
        """Valid until the next call. Raises INVALID where a file is in the way."""
        found = self._open.get(path)
        if found is not None:
            return found
        try:
            found = open_directory(self.root, path)
        except FileNotFoundError:
            found = self._make(path)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                raise invalid(f"{os.fsdecode(path)} in the archive is not a directory: {error.strerror}") from None
            raise
        return self._keep(path, found)

    def find(self, path: bytes) -> int:
        """As `get`, without making anything. Raises OSError."""
        found = self._open.get(path)
        return found if found is not None else self._keep(path, open_directory(self.root, path))

    def _keep(self, path: bytes, found: int) -> int:
        if len(self._open) >= _KEPT:
            self.forget()
        self._open[path] = found
        return found

    def forget(self) -> None:
        """Closes all: call when a directory or a link may have been replaced."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _make(self, path: bytes) -> int:
        # An archive may leave out an entry's parents; they get the mode that everything expects of a directory.
        parent, _, name = path.rpartition(b"/")
        above = self.get(parent)
        try:
            os.mkdir(name, 0o755, dir_fd=above)
        except FileExistsError:
            raise invalid(f"{os.fsdecode(path)} in the archive is below something that is not a directory") from None
        return open_directory(self.root, path)
