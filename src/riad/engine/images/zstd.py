"""Zstandard by the system's libzstd, which every Debian has because dpkg needs it (RFC 8878)."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from riad.kernel.faults import invalid, unavailable


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Buffer(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t))


@lru_cache(1)
def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("zstd") or "libzstd.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        raise unavailable("this layer is compressed with zstd and libzstd is not installed on this host") from None
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    library.ZSTD_freeDCtx.argtypes = (ctypes.c_void_p,)
    library.ZSTD_decompressStream.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer))
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


def decompress(source: Source, *, chunk: int = 262144) -> Iterator[bytes]:
    """The content of all frames, in pieces of at most `chunk` bytes. Raises INVALID for damaged or cut-off data."""
    library = _library()
    context = library.ZSTD_createDCtx()
    room = ctypes.create_string_buffer(chunk)
    hint = 0
    try:
        while data := source.read(chunk):
            fed = _Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
            filled = True
            # A full output buffer may mean that more is pending though all input is eaten.
            while fed.pos < fed.size or filled:
                out = _Buffer(ctypes.cast(room, ctypes.c_void_p), chunk, 0)
                hint = library.ZSTD_decompressStream(context, ctypes.byref(out), ctypes.byref(fed))
                if library.ZSTD_isError(hint):
                    raise invalid(f"zstd data is damaged: {library.ZSTD_getErrorName(hint).decode()}")
                filled = out.pos == chunk
                if out.pos:
                    yield room.raw[: out.pos] if out.pos < chunk else room.raw
                elif hint == 0 and fed.pos == fed.size:
                    break
        if hint:
            raise invalid("zstd data ends in the middle of a frame")
    finally:
        library.ZSTD_freeDCtx(context)
