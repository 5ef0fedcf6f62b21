from __future__ import annotations

import os
from datetime import UTC, datetime
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


def test_a_blob_is_kept_though_its_folder_is_removed_in_the_same_moment(
    blobs: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, deletes = os.replace, iter([1])

    def beaten(source: Path, target: Path) -> None:
        if next(deletes, None):
            target.parent.rmdir()  # as `delete` does with a folder that it has emptied
        replace(source, target)

    monkeypatch.setattr(os, "replace", beaten)
    put(blobs, "a/b", b"x")
    assert blobs.open("a/b").read() == b"x"


def test_what_nobody_asks_for_is_idle(blobs: FolderBlobs) -> None:
    for key in ("caches/1/a", "caches/1/b", "caches/2/a", "other/a"):
        put(blobs, key, b"x")
        os.utime(blobs.path(key), (100, 100))
    blobs.touch("caches/1/b")
    blobs.touch("caches/1/none")
    long_ago = datetime.fromtimestamp(200, UTC)
    assert blobs.idle("caches", since=long_ago) == ["caches/1/a", "caches/2/a"]
    assert blobs.idle("caches/1", since=datetime.max.replace(tzinfo=UTC)) == ["caches/1/a", "caches/1/b"]
    assert blobs.idle("nothing", since=long_ago) == []


def test_what_a_cut_off_write_has_left_goes_after_a_while(blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / ".incoming").mkdir()
    old, new = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "new"
    for part in (old, new):
        part.write_bytes(b"x")
    os.utime(old, (100, 100))
    blobs.tidy(before=datetime.fromtimestamp(200, UTC))
    assert (old.exists(), new.exists()) == (False, True)
