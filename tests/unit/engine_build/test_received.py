"""What is kept of clients' folders between builds."""

from __future__ import annotations

from pathlib import Path

from riad.engine.build.received import Content, Entry, Folders, Pack, ReceivedTree
from riad.engine.build.tree import Kind, Node


def filled(folders: Folders, key: str, name: str, content: bytes) -> dict[bytes, Entry]:
    pack = Pack(folders.packs)
    node = Node(name, Kind.FILE, 0o644, size=len(content))
    entries = {
        name.encode() + content: Entry(node, Content("digest", pack.name, pack.write(content)), {"user.a": b"1"})
    }
    pack.keep()
    folders.remember(key, entries, changed=True)
    return entries


def test_a_folder_is_known_again_in_another_life(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.recover()
    entries = filled(folders, "one", "a", b"content")
    again = Folders(tmp_path)
    again.recover()
    assert again.known("one") == entries
    tree = ReceivedTree(again.packs, {"a": next(iter(entries.values()))})
    node = tree.lstat("a")
    assert node is not None and tree.read(node) == b"content"


def test_what_no_folder_uses_any_more_goes_when_nobody_reads(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.recover()
    filled(folders, "one", "a", b"1")
    filled(folders, "two", "b", b"2")
    folders.enter()
    filled(folders, "one", "a", b"changed")
    folders.tidy()
    assert len(list(folders.packs.iterdir())) == 3
    folders.leave()
    assert len(list(folders.packs.iterdir())) == 2
    assert folders.known("two")


def test_an_entry_whose_content_is_gone_is_not_known(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.recover()
    filled(folders, "one", "a", b"1")
    for pack in folders.packs.iterdir():
        pack.unlink()
    assert Folders(tmp_path).known("one") == {}


def test_interrupted_transfers_leave_nothing(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.recover()
    Pack(folders.packs).write(b"half")
    again = Folders(tmp_path)
    again.recover()
    assert list(again.packs.iterdir()) == []


def test_clearing_forgets_all_but_never_under_a_reader(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.recover()
    filled(folders, "one", "a", b"1234")
    folders.enter()
    assert folders.clear() == 0
    folders.leave()
    assert folders.clear() == 4
    assert folders.known("one") == {}
