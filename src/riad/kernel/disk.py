"""A disk that is full or read-only is no defect: what the system says of it, as a fault that names the place."""

from __future__ import annotations

import errno
import sqlite3

from riad.kernel.faults import Fault, exhausted, unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def refusal(error: BaseException, *, where: object = "") -> Fault | None:
    """EXHAUSTED for a full disk, UNAVAILABLE for a read-only or failing one; None for any other error.

    `where` is named where the error itself names no file.
    """
    if isinstance(error, OSError):
        place = _place(error.filename or where)
        if error.errno in _FULL:
            return exhausted(f"no space left on device{place}: free some, for instance by docker system prune")
        if error.errno == errno.EROFS:
            return unavailable(f"read-only file system{place}: mount it writable, or choose another folder")
    if isinstance(error, sqlite3.OperationalError):
        return _of_database(str(error), _place(where))
    return None


def _of_database(said: str, place: str) -> Fault | None:
    if "disk is full" in said:
        return exhausted(f"no space left on device{place}: free some, for instance by docker system prune")
    if "readonly" in said or "unable to open" in said:
        return unavailable(f"the database{place} cannot be written ({said}): is its file system read-only?")
    if "disk I/O error" in said:  # SQLite says this also of a full disk, where it cannot make its journal
        return unavailable(
            f"the database{place} cannot be written ({said}): is no space left on device, or is it broken?"
        )
    return None


def _place(where: object) -> str:
    text = where.decode(errors="replace") if isinstance(where, bytes) else str(where)
    return f" ({text})" if text else ""
