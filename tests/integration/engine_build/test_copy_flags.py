"""The flags of COPY and ADD, and ADD from elsewhere."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from build_bench import Workbench
from elsewhere import git_server, served
from riad.kernel.faults import Fault

pytestmark = pytest.mark.root

_FILES = {"x/a.txt": b"a", "x/b.md": b"b", "x/deep/c.txt": b"c", "y/d.txt": b"d"}


def listed(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


async def test_parents_come_along_from_the_pivot_on(bench: Workbench) -> None:
    text = "FROM base:1\nCOPY --parents x/deep/c.txt y /all/\nCOPY --parents ./x/./deep/*.txt /some/\n"
    told = await bench.build(text + "COPY --parents **/*.txt /deep/\n", _FILES)
    async with bench.root(told) as root:
        assert listed(root / "all") == ["x/deep/c.txt", "y/d.txt"]
        assert listed(root / "some") == ["deep/c.txt"]
        assert listed(root / "deep") == ["x/a.txt", "x/deep/c.txt", "y/d.txt"]


async def test_excluded_files_stay_away_and_do_not_matter(bench: Workbench) -> None:
    text = "FROM base:1\nCOPY --exclude=**/*.txt --exclude=!deep/c.txt x /x\n"
    told = await bench.build(text, _FILES)
    async with bench.root(told) as root:
        assert listed(root / "x") == ["b.md", "deep/c.txt"]
    assert (await bench.build(text, {**_FILES, "x/a.txt": b"changed"})).done == []


async def test_symbolic_modes_change_files_and_folders_each_as_it_is(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nCOPY --chmod=u=rwX,go= x /x\n", _FILES)
    async with bench.root(told) as root:
        assert oct((root / "x/a.txt").stat().st_mode & 0o777) == "0o600"
        assert oct((root / "x/deep").stat().st_mode & 0o777) == "0o700"


async def test_a_linked_copy_is_found_again_over_another_base(bench: Workbench) -> None:
    text = "FROM base:1\nRUN echo {0} > /{0}\nCOPY --link --chown=5:6 x/a.txt /new/a.txt\nCOPY --link x /new/x\n"
    await bench.build(text.format("one"), _FILES)
    told = await bench.build(text.format("two"), _FILES)
    assert told.done == ["RUN"]
    async with bench.root(told) as root:
        assert (root / "two").exists() and not (root / "one").exists()
        assert (root / "new/a.txt").stat().st_uid == 5
        assert listed(root / "new/x") == ["a.txt", "b.md", "deep/c.txt"]


async def test_downloads_are_roots_own_and_checked(bench: Workbench) -> None:
    async with served({"/f/file.txt": b"content", "/a.tar": archive()}) as address:
        digest = hashlib.sha256(b"content").hexdigest()
        text = (
            f"FROM base:1\nADD {address}/f/file.txt /into/\nADD --chmod=644 --checksum=sha256:{digest} "
            f"{address}/f/file.txt /named\nADD {address}/a.tar /kept/\nADD --unpack=true {address}/a.tar /unpacked/\n"
        )
        told = await bench.build(text)
        async with bench.root(told) as root:
            assert (root / "into/file.txt").read_bytes() == b"content"
            assert oct((root / "into/file.txt").stat().st_mode & 0o777) == "0o600"
            assert oct((root / "named").stat().st_mode & 0o777) == "0o644"
            assert listed(root / "kept") == ["a.tar"]
            assert listed(root / "unpacked") == ["inside"]
        assert (await bench.build(text)).done == []
        with pytest.raises(Fault, match="digest mismatch"):
            await bench.build(f"FROM base:1\nADD --checksum=sha256:{'0' * 64} {address}/f/file.txt /x\n")
        with pytest.raises(Fault, match="404"):
            await bench.build(f"FROM base:1\nADD {address}/none /x\n")
    assert bench.left_behind() == []


async def test_repositories_are_added_at_a_commit(bench: Workbench, tmp_path: Path) -> None:
    with git_server(tmp_path / "git") as address:
        text = (
            f"FROM base:1\nADD {address}/repo.git /head\nADD {address}/repo.git#v1:sub /sub\n"
            f"ADD --keep-git-dir=true {address}/repo.git#main /whole\n"
        )
        told = await bench.build(text)
        async with bench.root(told) as root:
            assert listed(root / "head") == ["file", "sub/inner"]
            assert (root / "head/file").read_text() == "second"
            assert listed(root / "sub") == ["inner"]
            assert (root / "whole/.git/HEAD").exists()
        assert (await bench.build(text)).done == []
        with pytest.raises(Fault, match="does not contain ref nowhere"):
            await bench.build(f"FROM base:1\nADD {address}/repo.git#nowhere /x\n")


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("inside")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"1"))
    return buffer.getvalue()
