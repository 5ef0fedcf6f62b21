"""Build contexts: a tar indexed, filtered, searched, digested."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riad.dockerfile.ignore import parse_ignore
from riad.engine.build.receive import index, receive
from riad.engine.build.sources import digest, find
from riad.engine.build.tree import Kind, TarTree, resolve, walk
from riad.kernel.faults import Fault


def tar(files: Mapping[str, bytes | str | None], *, mtime: int = 1, mode: int = 0o644, uid: int = 0) -> bytes:
    """bytes: a file; None: a directory; text: a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.mode, entry.uid = mtime, mode, uid
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


async def tree_of(folder: Path, archive: bytes) -> TarTree:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(archive), 700):
            yield archive[at : at + 700]

    number = len(list(folder.iterdir()))
    return await receive(pieces(), folder / f"context{number}.tar")


async def test_a_context_is_read_from_its_tar(tmp_path: Path) -> None:
    tree = await tree_of(tmp_path, tar({"a/b.txt": b"hello", "a/c": None, "l": "a/b.txt"}))
    node = resolve(tree, "l")
    assert node is not None
    assert (node.path, tree.read(node)) == ("a/b.txt", b"hello")
    assert tree.children("") == ["a", "l"]
    assert tree.children("a") == ["b.txt", "c"]


async def test_a_compressed_context_is_the_same(tmp_path: Path) -> None:
    archive = tar({"a": b"x" * 5000})
    tree = await tree_of(tmp_path, gzip.compress(archive))
    node = tree.lstat("a")
    assert node is not None and tree.read(node) == b"x" * 5000


async def test_the_last_entry_of_a_name_counts(tmp_path: Path) -> None:
    tree = await tree_of(tmp_path, tar({"a": b"1"})[:1024] + tar({"./a": b"22"}))
    node = tree.lstat("a")
    assert node is not None and tree.read(node) == b"22"


async def test_a_last_file_without_padding_is_whole_but_one_cut_short_is_not(tmp_path: Path) -> None:
    archive = tar({"a": b"x" * 100})[: 512 + 100]
    assert (await tree_of(tmp_path, archive)).lstat("a") is not None
    with pytest.raises(Fault) as caught:
        await tree_of(tmp_path, archive[:-1])
    assert caught.value.message == "the archive ends in the middle of a"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/../x"])
async def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fault) as caught:
        await tree_of(tmp_path, tar({name: b"x"}))
    assert "leads outside" in caught.value.message


@pytest.mark.parametrize("content", [b"garbage", b"\x1f\x8bgarbage", tar({"a": b"x" * 9000})[:3000]])
async def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Fault):
        await tree_of(tmp_path, content)


async def test_links_never_lead_out_of_the_context(tmp_path: Path) -> None:
    tree = await tree_of(tmp_path, tar({"up": "../../etc/passwd", "abs": "/d/x", "d/x": b"1", "loop": "loop"}))
    assert resolve(tree, "up") is None
    node = resolve(tree, "abs")
    assert node is not None and node.path == "d/x"
    with pytest.raises(Fault) as caught:
        resolve(tree, "loop")
    assert "too many levels" in caught.value.message


async def test_ignored_files_are_gone_but_known(tmp_path: Path) -> None:
    whole = await tree_of(tmp_path, tar({"a": b"1", "d/keep": b"2", "d/other": b"3"}))
    tree = whole.without(parse_ignore("d\n!d/keep\n"))
    assert [node.path for _, node in walk(tree, tree.nodes[""])] == ["", "a", "d", "d/keep"]
    with pytest.raises(Fault) as caught:
        find(tree, ("d/other",))
    assert '"d" in line 1 of .dockerignore excludes it' in caught.value.message


async def test_a_missing_source_is_named(tmp_path: Path) -> None:
    tree = await tree_of(tmp_path, tar({"a": b"1"}))
    with pytest.raises(Fault) as caught:
        find(tree, ("b*",))
    assert caught.value.message == (
        "COPY failed: file not found in build context or excluded by .dockerignore: stat b*: file does not exist"
    )


async def test_patterns_match_by_component(tmp_path: Path) -> None:
    tree = await tree_of(tmp_path, tar({"a.py": b"", "b.py": b"", "c.txt": b"", "d/e.py": b"", "[x]": b""}))
    assert [s.name for s in find(tree, ("*.py",))] == ["a.py", "b.py"]
    assert [s.name for s in find(tree, ("*/*.py", "c.???"))] == ["e.py", "c.txt"]
    assert [s.name for s in find(tree, ("[[]x]",))] == ["[x]"]
    assert find(tree, ("../../a.py",))[0].name == "a.py"


async def digest_in(folder: Path, archive: bytes, *, owners: bool = False) -> str:
    tree = await tree_of(folder, archive)
    return digest(tree, find(tree, (".",)), owners=owners)


async def test_the_digest_ignores_times_and_owners_of_a_context(tmp_path: Path) -> None:
    files = {"a": b"1", "d": None, "l": "a"}
    plain = await digest_in(tmp_path, tar(files))
    assert await digest_in(tmp_path, tar(files, mtime=99, uid=5)) == plain
    assert await digest_in(tmp_path, tar(files, uid=5), owners=True) != await digest_in(
        tmp_path, tar(files), owners=True
    )


@pytest.mark.parametrize(
    "other",
    [
        tar({"a": b"2", "d": None, "l": "a"}),
        tar({"b": b"1", "d": None, "l": "a"}),
        tar({"a": b"1", "d": None, "l": "d"}),
        tar({"a": b"1", "l": "a"}),
        tar({"a": b"1", "d": None, "l": "a"}, mode=0o755),
    ],
)
async def test_the_digest_sees_content_names_links_and_modes(tmp_path: Path, other: bytes) -> None:
    assert await digest_in(tmp_path, tar({"a": b"1", "d": None, "l": "a"})) != await digest_in(tmp_path, other)


async def test_hard_links_have_their_targets_content(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        first = tarfile.TarInfo("a")
        first.size = 2
        archive.addfile(first, io.BytesIO(b"hi"))
        second = tarfile.TarInfo("b")
        second.type, second.linkname = tarfile.LNKTYPE, "a"
        archive.addfile(second)
    tree = await tree_of(tmp_path, buffer.getvalue())
    node = tree.lstat("b")
    assert node is not None
    assert (node.kind, node.twin, tree.read(node)) == (Kind.FILE, "a", b"hi")


_VALID = tar({"a": b"x" * 600, "d/b": b"y", "l": "a"})


@given(st.binary(max_size=20), st.integers(0, len(_VALID)))
@settings(max_examples=300, deadline=None)
def test_no_bytes_fail_otherwise_than_by_a_fault(noise: bytes, at: int) -> None:
    damaged = _VALID[:at] + noise + _VALID[at + len(noise) :]
    try:
        tree = index(iter([damaged]), Path("/nonexistent"))
    except Fault:
        return
    assert tree.lstat("") is not None
