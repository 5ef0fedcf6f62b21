"""The reader of tar headers against the standard library's, and against bytes that mean nothing."""

from __future__ import annotations

import contextlib
import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import Fault
from riad.oci.digest import digest_of

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def entry(name: str, **attributes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = 1_700_000_000, 0o640
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def archive(*entries: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for info in entries:
            tar.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)
    return file.getvalue()


def told(info: tarfile.TarInfo) -> tuple[Any, ...]:
    plain = (info.name, info.type, info.mode, info.uid, info.gid, info.size, info.mtime, info.linkname)
    return (*plain, info.devmajor, info.devminor, info.offset_data)


def read(data: bytes, piece: int = 1000) -> list[tarfile.TarInfo]:
    stream = ForwardStream(iter([data[at : at + piece] for at in range(0, len(data), piece)]))
    found = list(members(stream))
    assert stream.finish() == digest_of(data)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_as_the_standard_library_reads_it(name: str) -> None:
    data = archive(
        entry("./", type=tarfile.DIRTYPE),
        entry("a/b", size=1234, uid=1000, gid=50),
        entry("folder/", type=tarfile.DIRTYPE, mode=0o2755),
        entry("link", type=tarfile.SYMTYPE, linkname="a/b"),
        entry("hard", type=tarfile.LNKTYPE, linkname="a/b"),
        entry("tty", type=tarfile.CHRTYPE, devmajor=4, devminor=64),
        entry("pipe", type=tarfile.FIFOTYPE),
        entry("d" * 90 + "/" + "n" * 90, size=3),
        entry("empty"),
        kind=FORMATS[name],
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as known:
        assert list(map(told, read(data))) == list(map(told, known))


def test_names_and_numbers_that_no_field_holds_come_from_extensions() -> None:
    odd = entry("é" * 200, uid=3_000_000, gid=5_000_000, mtime=-5.25, pax_headers={"SCHILY.xattr.user.x": "\udcff="})
    far = entry("l" * 150, type=tarfile.SYMTYPE, linkname="t" * 300)
    for data in (archive(odd, far), archive(odd, far, kind=tarfile.GNU_FORMAT)):
        first, second = read(data)
        assert (first.name, first.uid, first.gid) == ("é" * 200, 3_000_000, 5_000_000)
        assert (second.name, second.linkname) == ("l" * 150, "t" * 300)
    assert read(archive(odd))[0].pax_headers["SCHILY.xattr.user.x"] == "\udcff="


def test_a_record_for_all_entries_gives_way_to_one_for_the_next() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", pax_headers={"uid": "7", "comment": "x"}) as tar:
        tar.addfile(entry("one"))
        tar.addfile(entry("two", pax_headers={"uid": "9"}))
    assert [info.uid for info in read(file.getvalue())] == [7, 9]


def test_a_damaged_header_in_the_middle_is_an_error_and_not_the_end() -> None:
    data = bytearray(archive(entry("one", size=10), entry("two")))
    data[1024 + 3] ^= 1
    with pytest.raises(Fault, match="bad checksum"):
        read(bytes(data))


def test_content_that_ends_early_is_an_error() -> None:
    with pytest.raises(Fault, match="ends in the middle of one"):
        read(archive(entry("one", size=5000))[:2000])


@pytest.mark.parametrize("pieces", ["0,10,5,10", "0,-1", "90,20", "0,200", "x", "1,2,3"])
def test_a_sparse_map_that_leaves_its_file_is_an_error(pieces: str) -> None:
    headers = {"GNU.sparse.size": "100", "GNU.sparse.numblocks": "1", "GNU.sparse.map": pieces}
    with pytest.raises(Fault):
        read(archive(entry("sparse", size=20, pax_headers=headers)))


@given(st.binary(max_size=3000), st.integers(0, 4000), st.integers(0, 255))
def test_no_bytes_at_all_break_the_reader(noise: bytes, place: int, value: int) -> None:
    data = bytearray(archive(entry("é" * 120, size=700, uid=9_000_000), entry("b", type=tarfile.SYMTYPE, linkname="c")))
    data[place % len(data)] = value
    for candidate in (bytes(data), bytes(data) + noise, noise):
        with contextlib.suppress(Fault):
            read(candidate)
