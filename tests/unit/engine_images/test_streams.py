"""Compressed streams and tar streams that strangers send."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.images.compression import Compression, decompress, gzipped, sniff
from riad.engine.images.progress import bar, size_text
from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import Fault, Kind

DATA = bytes(range(256)) * 5000


def zstd(data: bytes) -> bytes:
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


PACKERS = {
    Compression.NONE: lambda data: data,
    Compression.GZIP: gzip.compress,
    Compression.BZIP2: bz2.compress,
    Compression.XZ: lzma.compress,
    Compression.ZSTD: zstd,
}


@pytest.mark.parametrize("kind", PACKERS)
def test_every_compression_is_told_by_its_first_bytes_and_undone(kind: Compression) -> None:
    packed = PACKERS[kind](DATA)
    assert sniff(packed) is kind
    assert b"".join(decompress(io.BytesIO(packed))) == DATA


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind is not Compression.NONE])
def test_cut_off_data_is_an_error_and_no_shorter_content(kind: Compression) -> None:
    packed = PACKERS[kind](DATA)
    with pytest.raises(Fault) as caught:
        list(decompress(io.BytesIO(packed[:-9])))
    assert caught.value.kind is Kind.INVALID


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD, Compression.XZ])
def test_damaged_data_is_an_error(kind: Compression) -> None:
    packed = bytearray(PACKERS[kind](DATA))
    for place in range(len(packed) // 2, len(packed) // 2 + 8):
        packed[place] ^= 0xFF
    with pytest.raises(Fault):
        list(decompress(io.BytesIO(bytes(packed))))


def test_a_bomb_comes_out_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    assert max(len(piece) for piece in decompress(io.BytesIO(bomb))) <= 1024 * 1024


def test_several_gzip_members_with_padding_are_one_content() -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two") + bytes(512)
    assert b"".join(decompress(io.BytesIO(packed))) == b"onetwo"


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 5])
def test_what_is_compressed_in_parallel_reads_as_one_and_is_always_the_same(size: int) -> None:
    data = (DATA * 3)[:size]
    pieces = [data[start : start + 70_001] for start in range(0, len(data), 70_001)]
    packed = b"".join(gzipped(pieces))
    assert gzip.decompress(packed) == data
    assert b"".join(gzipped([data])) == packed


@given(st.binary(max_size=2048))
def test_any_bytes_are_an_archive_or_a_refusal(data: bytes) -> None:
    refused = None
    try:
        list(members(ForwardStream(iter([data]))))
    except Fault as fault:
        refused = fault.kind
    assert refused in (None, Kind.INVALID)


@given(st.integers(0, 1535), st.integers(0, 255))
def test_a_changed_archive_is_an_archive_or_a_refusal(place: int, value: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("é" * 60)
        info.pax_headers = {"SCHILY.xattr.user.a": "b"}
        archive.addfile(info)
    data = bytearray(buffer.getvalue())
    data[place] = value
    refused = None
    try:
        list(members(ForwardStream(iter([bytes(data)]))))
    except Fault as fault:
        refused = fault.kind
    assert refused in (None, Kind.INVALID)


def test_progress_reads_as_dockers_does() -> None:
    assert bar(500, 1000) == "[=========================>                         ]     500B/1kB"
    assert bar(1000, 1000) == "[" + "=" * 50 + ">]      1kB/1kB"
    assert bar(5, 0) == "      5B"
    assert size_text(1_536_000) == "1.536MB"
    assert size_text(999) == "999B"
