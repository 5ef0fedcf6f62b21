from __future__ import annotations

from pathlib import Path

import pytest

from riad.kernel.blobs import FolderBlobs
from riad.kernel.faults import Fault, Kind


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


def put(blobs: FolderBlobs, key: str, value: bytes) -> None:
    with blobs.write(key) as file:
        file.write(value)


def test_what_was_written_is_read_back(blobs: FolderBlobs) -> None:
    put(blobs, "a/b/c.bin", b"one")
    with blobs.open("a/b/c.bin") as file:
        assert file.read() == b"one"
    assert blobs.size("a/b/c.bin") == 3


def test_a_failed_write_leaves_the_old_value_and_no_part(blobs: FolderBlobs, tmp_path: Path) -> None:
    put(blobs, "key", b"old")
    with pytest.raises(RuntimeError), blobs.write("key") as file:
        file.write(b"ne")
        raise RuntimeError
    assert blobs.open("key").read() == b"old"
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_a_blob_that_is_not_there_is_a_fault_to_read_and_none_to_delete(blobs: FolderBlobs) -> None:
    blobs.delete("nothing")
    assert blobs.size("nothing") is None
    with pytest.raises(Fault) as caught:
        blobs.open("nothing")
    assert caught.value.kind is Kind.NOT_FOUND


@pytest.mark.parametrize("key", ["", "/x", "../x", "a/../b", "a//b", "a b", ".hidden", "a\n"])
def test_a_key_cannot_leave_the_folder(blobs: FolderBlobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob key"):
        blobs.path(key)
