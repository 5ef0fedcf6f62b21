"""The headers of a tar: ustar, GNU's long names and sparse files, pax (POSIX.1-2017, pax; GNU tar's manual, "Tar
Internals"). Pure.

The standard library's reader takes 40 µs for a header, which is most of what unpacking a small file costs; this one a
tenth, and it takes a damaged header in the middle for an error, not for the end. What comes out are the library's own
`TarInfo`s, with extended attributes in `pax_headers` and the pieces of a sparse file in `sparse`.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from riad.kernel.faults import invalid

BLOCK = 512
EMPTY = bytes(BLOCK)
LARGEST_EXTENSION = 1 << 20
"""Bytes of extended records or of a long name; more than any file system could take."""
_MOST_PIECES = 1 << 20

_HEAD = struct.Struct("100s8s8s8s12s12s8s1s100s8s64x8s8s155s12x")
_ADLER = 65521
_HEADER_ONLY = frozenset(
    (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
)
Pieces = list[tuple[int, int]]


def parse(block: bytes) -> tarfile.TarInfo:
    """One header block. Raises INVALID for a wrong checksum or number."""
    if len(block) < BLOCK:
        raise invalid("the archive is damaged: it ends within a header")
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, major, minor, prefix = _HEAD.unpack(block)
    _check(block, checksum)
    found = tarfile.TarInfo(_text(name))
    found.mode, found.uid, found.gid = _number(mode), _number(uid), _number(gid)
    found.size, found.mtime = _number(size), _number(mtime)
    found.type = kind
    if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        found.linkname = _text(link)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        found.devmajor, found.devminor = _number(major), _number(minor)
    if magic == b"ustar\x0000" and prefix[0]:
        found.name = f"{_text(prefix)}/{found.name}"
    if found.size < 0:
        raise invalid(f"the archive is damaged: {found.name} has a negative size")
    return found


def finish(found: tarfile.TarInfo, records: Mapping[str, str]) -> None:
    """Applies extended records, and what the kind of an entry implies."""
    if records:
        _apply(found, records)
    if found.type == tarfile.AREGTYPE and found.name.endswith("/"):
        found.type = tarfile.DIRTYPE  # as archives before POSIX have it
    if found.type in _HEADER_ONLY:
        found.size = 0
        if found.type == tarfile.DIRTYPE:
            found.name = found.name.rstrip("/")


def _apply(found: tarfile.TarInfo, records: Mapping[str, str]) -> None:
    try:
        found.name = records.get("path", found.name)
        found.linkname = records.get("linkpath", found.linkname)
        found.size = int(records.get("size", found.size))
        found.uid = int(records.get("uid", found.uid))
        found.gid = int(records.get("gid", found.gid))
        if "mtime" in records:
            found.mtime = _seconds(records["mtime"])
    except ValueError as error:
        raise invalid(f"the archive is damaged: {found.name}: {error}") from None
    if found.size < 0:
        raise invalid(f"the archive is damaged: {found.name} has a negative size")
    found.pax_headers = dict(records)


def _seconds(text: str) -> Any:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def records(body: bytes) -> Iterator[tuple[str, str]]:
    """The `LENGTH KEY=VALUE` records of a pax header; binary values as `surrogateescape`. Raises INVALID."""
    at = 0
    while at < len(body) and body[at]:
        length, space, _ = body[at : at + 24].partition(b" ")
        if not space or not length.isdigit() or not len(length) + 2 < int(length) <= len(body) - at:
            raise invalid("the archive is damaged: a record of a pax header has a wrong length")
        record = body[at + len(length) + 1 : at + int(length)]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n":
            raise invalid("the archive is damaged: a record of a pax header is not KEY=VALUE")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        at += int(length)


def gnu_sparse(block: bytes, read: Callable[[int], bytes]) -> tuple[Pieces, int]:
    """The pieces and the whole size of a file in GNU's old sparse format; `read` gives its continuation blocks."""
    pieces = _pairs(block, 386, 4)
    more, size = block[482], _number(block[483:495])
    while more:
        block = read(BLOCK)
        if len(block) < BLOCK or len(pieces) > _MOST_PIECES:
            raise invalid("the archive is damaged: a sparse file's map does not end")
        pieces += _pairs(block, 0, 21)
        more = block[504]
    return pieces, size


def pax_sparse(body: bytes, read: Callable[[int], bytes]) -> tuple[Pieces, int, str, int] | None:
    """(pieces, whole size, name, bytes of map read from the content) of a file in pax' sparse formats 0.0, 0.1 and
    1.0; None where the records do not say sparse.
    """
    found = list(records(body))
    known = dict(found)
    if not any(key.startswith("GNU.sparse.") for key in known):
        return None
    try:
        size = int(known.get("GNU.sparse.realsize") or known["GNU.sparse.size"])
        name = known.get("GNU.sparse.name", "")
        if known.get("GNU.sparse.major") == "1":
            pieces, used = _map_in_content(read)
            return pieces, size, name, used
        if "GNU.sparse.map" in known:
            flat = [int(number) for number in known["GNU.sparse.map"].split(",")]
            return list(zip(flat[::2], flat[1::2], strict=True)), size, name, 0
        offsets = [int(value) for key, value in found if key == "GNU.sparse.offset"]
        lengths = [int(value) for key, value in found if key == "GNU.sparse.numbytes"]
        return list(zip(offsets, lengths, strict=True)), size, name, 0
    except (ValueError, LookupError):
        raise invalid("the archive is damaged: a sparse file's map is not numbers") from None


def check_pieces(pieces: Pieces, size: int, stored: int, name: str) -> None:
    """Refuses a sparse map whose pieces overlap, leave the file, or are not what is stored. Raises INVALID."""
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0 or offset + length > size:
            raise invalid(f"the archive is damaged: the sparse map of {name} leaves the file")
        end = offset + length
    if sum(length for _, length in pieces) > stored:
        raise invalid(f"the archive is damaged: the sparse map of {name} names more than is stored")


def _map_in_content(read: Callable[[int], bytes]) -> tuple[Pieces, int]:
    numbers: list[int] = []
    rest, used, wanted = b"", 0, 1
    while len(numbers) < wanted:
        line, newline, after = rest.partition(b"\n")
        if not newline:
            block = read(BLOCK)
            if len(block) < BLOCK or used > LARGEST_EXTENSION * 16:
                raise invalid("the archive is damaged: a sparse file's map does not end")
            used += BLOCK
            rest += block
            continue
        numbers.append(int(line))
        rest = after
        if len(numbers) == 1:
            wanted = 1 + 2 * min(numbers[0], _MOST_PIECES)
    return list(zip(numbers[1::2], numbers[2::2], strict=True)), used


def _pairs(block: bytes, at: int, count: int) -> Pieces:
    found: Pieces = []
    for position in range(at, at + 24 * count, 24):
        if not block[position]:
            break
        found.append((_number(block[position : position + 12]), _number(block[position + 12 : position + 24])))
    return found


def _check(block: bytes, checksum: bytes) -> None:
    # The sum of all bytes, with the checksum's own as spaces. Adler-32's low half is that sum modulo a prime.
    wanted = _number(checksum)
    own = sum(checksum) - 256
    if zlib.adler32(block) & 0xFFFF == (1 + wanted + own) % _ADLER:
        return
    exact = sum(block) - own
    signed = exact - 256 * sum(byte > 127 for byte in block) + 256 * sum(byte > 127 for byte in checksum)
    if wanted not in (exact, signed):
        raise invalid("the archive is damaged: bad checksum")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


@lru_cache(8192)  # modes, owners and times repeat
def _number(field: bytes) -> int:
    if field[0] in (0x80, 0xFF):  # GNU's base 256, for what octal digits cannot hold
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 else value - (1 << 8 * (len(field) - 1))
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise invalid(f"the archive is damaged: {field!r} is not a number") from None
