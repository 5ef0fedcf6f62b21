"""COPY and ADD into real layers: names, modes, owners, times, links."""

from __future__ import annotations

import gzip
import os
import stat

import pytest

from build_bench import Workbench, context
from riad.kernel.faults import Fault

pytestmark = pytest.mark.root


async def test_a_file_gets_the_targets_name_root_as_owner_and_keeps_mode_and_time(bench: Workbench) -> None:
    told = await bench.build("FROM scratch\nCOPY run /bin/start\n", {"run!": b"x"}, mtime=12345)
    async with bench.root(told) as root:
        status = (root / "bin/start").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime) == (0o755, 0, 0, 12345)
        assert stat.S_IMODE((root / "bin").stat().st_mode) == 0o755


async def test_a_directorys_content_goes_into_the_target(bench: Workbench) -> None:
    files = {"src/a": b"1", "src/sub/b": b"2", "src/l": "a"}
    told = await bench.build("FROM scratch\nCOPY src /app\nCOPY src/sub src/a /two/\n", files)
    async with bench.root(told) as root:
        found = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
        assert found == ["app", "app/a", "app/l", "app/sub", "app/sub/b", "two", "two/a", "two/b"]
        assert os.readlink(root / "app/l") == "a"


async def test_a_file_goes_into_a_target_that_is_a_directory(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nWORKDIR /w\nCOPY a .\nCOPY a /tmp\nCOPY a /new/\n", {"a": b"1"})
    async with bench.root(told) as root:
        assert (root / "w/a").is_file() and (root / "tmp/a").is_file() and (root / "new/a").is_file()
        assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777


async def test_a_link_in_the_targets_path_is_followed_inside_the_image(bench: Workbench) -> None:
    told = await bench.build(
        "FROM base:1\nCOPY links /\nCOPY a /out/x\nCOPY a /bin/y\n", {"a": b"1", "links/out": "/../../../../var"}
    )
    async with bench.root(told) as root:
        assert (root / "var/x").read_bytes() == b"1"
        assert (root / "usr/bin/y").read_bytes() == b"1"
        assert (root / "bin").is_symlink()


async def test_a_directory_tree_merges_through_a_linked_directory(bench: Workbench) -> None:
    told = await bench.build("FROM base:1\nCOPY tree /\n", {"tree/bin/new": b"1", "tree/etc/passwd": b"replaced"})
    async with bench.root(told) as root:
        assert (root / "bin").is_symlink()
        assert (root / "usr/bin/new").exists() and (root / "usr/bin/sh").exists()
        assert (root / "etc/passwd").read_bytes() == b"replaced"


async def test_a_file_replaces_a_link_not_what_it_points_to(bench: Workbench) -> None:
    told = await bench.build("FROM scratch\nCOPY t /\nCOPY a /l\n", {"t/target": b"old", "t/l": "target", "a": b"new"})
    async with bench.root(told) as root:
        assert (root / "target").read_bytes() == b"old"
        assert not (root / "l").is_symlink()


async def test_owner_and_mode_may_be_chosen(bench: Workbench) -> None:
    told = await bench.build(
        "FROM base:1\nCOPY --chown=app:extra --chmod=640 a /d/a\nCOPY --chown=7 a /n\n", {"a": b"1"}
    )
    async with bench.root(told) as root:
        status = (root / "d/a").stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1000, 1234, 0o640)
        assert ((root / "d").stat().st_uid, (root / "d").stat().st_gid) == (1000, 1234)
        assert ((root / "n").stat().st_uid, (root / "n").stat().st_gid) == (7, 7)


async def test_files_of_a_stage_keep_their_owners(bench: Workbench) -> None:
    told = await bench.build(
        "FROM base:1 AS one\nCOPY --chown=app a /a\nFROM scratch\nCOPY --from=one /a /kept\n"
        "COPY --from=one --chown=0 /a /root\n",
        {"a": b"1"},
    )
    async with bench.root(told) as root:
        assert (root / "kept").stat().st_uid == 1000
        assert (root / "root").stat().st_uid == 0


async def test_an_image_may_be_copied_from(bench: Workbench) -> None:
    told = await bench.build("FROM scratch\nCOPY --from=base:1 /bin/sh /etc/gr* /x/\n")
    async with bench.root(told) as root:
        assert sorted(path.name for path in (root / "x").iterdir()) == ["group", "sh"]


async def test_here_documents_become_files(bench: Workbench) -> None:
    told = await bench.build("FROM scratch\nENV A=1\nCOPY <<one <<'two' /d/\n$A\none\n$A\ntwo\n")
    async with bench.root(told) as root:
        assert ((root / "d/one").read_text(), (root / "d/two").read_text()) == ("1\n", "$A\n")
        assert stat.S_IMODE((root / "d/one").stat().st_mode) == 0o644


async def test_add_unpacks_local_archives_and_copy_does_not(bench: Workbench) -> None:
    archive = gzip.compress(context({"in/x": b"1", "y!": b"2"}))
    text = "FROM scratch\nADD a.tgz /unpacked\nCOPY a.tgz /copied\nADD plain /plain\nADD --unpack=false a.tgz /kept\n"
    told = await bench.build(text, {"a.tgz": archive, "plain": b"no archive"})
    async with bench.root(told) as root:
        assert (root / "unpacked/in/x").read_bytes() == b"1"
        assert (root / "unpacked/y").stat().st_uid == 4711
        assert (root / "copied").read_bytes() == archive
        assert (root / "plain").read_bytes() == b"no archive"
        assert (root / "kept").read_bytes() == archive


async def test_ignored_files_are_not_copied_even_where_the_client_sent_them(bench: Workbench) -> None:
    files = {"a": b"1", "secret": b"2", ".dockerignore": b"secret\nDockerfile\n"}
    told = await bench.build("FROM scratch\nCOPY . /\n", files)
    async with bench.root(told) as root:
        assert sorted(path.name for path in root.iterdir()) == [".dockerignore", "a"]


async def test_an_ignore_file_named_for_the_dockerfile_comes_first(bench: Workbench) -> None:
    files = {"a": b"1", "b": b"2", ".dockerignore": b"a\n", "Dockerfile.dockerignore": b"b\n*ocker*\n"}
    told = await bench.build("FROM scratch\nCOPY . /\n", files)
    async with bench.root(told) as root:
        assert [path.name for path in root.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COPY gone /", "dockerfile line 2: COPY failed: file not found in build context or excluded by .dockerignore"),
        ("COPY a /etc/passwd/x", "dockerfile line 2: cannot copy to non-directory: /etc/passwd"),
        ("COPY d/a /x\nCOPY d /x", "dockerfile line 3: cannot copy to non-directory: /x"),
        ("COPY d /etc/\nRUN true\nCOPY a /a/\nCOPY a /a/a/", "line 5: cannot copy to non-directory: /a/a"),
        ("COPY --chown=zork a /", "dockerfile line 2: --chown: can't find uid for user zork"),
        ("COPY --from=nowhere.invalid/x:1 a /", "dockerfile line 2: cannot reach a registry for nowhere.invalid/x:1"),
        ("COPY --from=base:1 /gone /", "dockerfile line 2: COPY failed: /gone does not exist in the source image"),
    ],
)
async def test_what_cannot_be_copied_is_named_with_its_line(bench: Workbench, text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        await bench.build(f"FROM base:1\n{text}\n", {"a": b"1", "d/a": b"2"})
    assert message in caught.value.message
    assert bench.left_behind() == []
