"""What a job gets to see of a repository."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from riad.forge.model import ZERO
from riad.forge.source import ForgeSource
from riad.kernel.faults import Fault

REMOTE = "http://riad.test/demo/hello.git"


@pytest.fixture
def filled(forge, git_program):
    """A project with two commits, a branch with a slash, two tags, a script and a link."""
    ada = forge.user("ada")
    project = forge.project(ada)
    work = git_program.repository("work", README_md="Hello\n", gitattributes="")
    (work / ".gitattributes").write_text("*.bat text eol=crlf\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("README.md")
    (work / "a").mkdir()
    (work / "a" / "x.bat").write_text("echo\n")
    sha = git_program.commit(work, "Second")
    git_program("tag", "v1", cwd=work)
    git_program("tag", "--annotate", "v2", "--message", "Two", cwd=work)
    git_program("push", "--quiet", forge.url("demo/hello.git", ada), "main", "main:topic/a", "v1", "v2", cwd=work)
    return project, sha


@pytest.fixture
def source(forge) -> ForgeSource:
    return ForgeSource(forge.database, forge.repositories, temporary=forge.folder / "checkouts")


def unpacked(tar, folder: Path) -> Path:
    folder.mkdir()
    with tar, tarfile.open(fileobj=tar) as archive:
        archive.extractall(folder)
    return folder


def test_a_checkout_is_a_clean_detached_shallow_clone(source, filled, git_program, tmp_path: Path) -> None:
    project, sha = filled
    tar = source.checkout_tar(project.id, sha, "refs/heads/main", depth=1, remote_url=REMOTE)
    tree = unpacked(tar, tmp_path / "tree")
    assert git_program("rev-parse", "HEAD", cwd=tree) == sha
    assert git_program("rev-parse", "origin/main", cwd=tree) == sha
    assert git_program("status", "--porcelain", cwd=tree) == ""
    assert git_program("config", "remote.origin.url", cwd=tree) == REMOTE
    assert git_program("rev-list", "--count", "HEAD", cwd=tree) == "1"
    git_program("symbolic-ref", "HEAD", cwd=tree, check=False)
    assert not (tree / ".git" / "objects" / "info" / "alternates").exists()


def test_modes_links_and_line_ends_are_as_git_makes_them(source, filled, tmp_path: Path) -> None:
    project, sha = filled
    tar = source.checkout_tar(project.id, sha, "main", depth=20, remote_url=REMOTE)
    with tar, tarfile.open(fileobj=io.BytesIO(tar.read())) as archive:
        members = {member.name: member for member in archive}
    assert members["./run.sh"].mode == 0o755
    assert members["./README.md"].mode == 0o644
    assert (members["./link"].issym(), members["./link"].linkname) == (True, "README.md")
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert members["./a/x.bat"].size == len(b"echo\r\n")
    assert "." not in members


def test_the_branch_or_tag_is_known_by_its_name(source, filled, git_program, tmp_path: Path) -> None:
    project, sha = filled
    for number, (ref, known) in enumerate(
        [("refs/heads/topic/a", "origin/topic/a"), ("refs/tags/v1", "v1"), ("v2", "v2^{commit}"), ("gone", "HEAD")]
    ):
        tar = source.checkout_tar(project.id, sha, ref, depth=5, remote_url=REMOTE)
        tree = unpacked(tar, tmp_path / str(number))
        assert git_program("rev-parse", known, cwd=tree) == sha


def test_without_a_depth_the_whole_history_is_there(source, filled, git_program, tmp_path: Path) -> None:
    project, sha = filled
    tree = unpacked(source.checkout_tar(project.id, sha, "main", depth=None, remote_url=REMOTE), tmp_path / "tree")
    assert git_program("rev-list", "--count", "HEAD", cwd=tree) == "2"
    assert set(git_program("tag", cwd=tree).split()) == {"v1", "v2"}
    assert git_program("describe", "--tags", cwd=tree) in {"v1", "v2"}
    assert "origin/topic/a" in git_program("branch", "--remotes", cwd=tree)


def test_a_checkout_leaves_nothing_behind(source, filled, forge) -> None:
    project, sha = filled
    source.checkout_tar(project.id, sha, "main", depth=1, remote_url=REMOTE).close()
    assert os.listdir(forge.folder / "checkouts") == []


def test_files_paths_and_commits_are_read_at_a_commit(source, filled, git_program) -> None:
    project, sha = filled
    first = git_program("rev-parse", f"{sha}~1", cwd=git_program.home / "work")
    assert source.read_file(project.id, sha, "README.md") == b"Hello\n"
    assert source.read_file(project.id, sha, "a") is None
    assert source.read_file(project.id, sha, "nothing") is None
    assert source.list_paths(project.id, first) == ["README.md", "gitattributes"]
    assert source.list_paths(project.id, sha) == [
        ".gitattributes",
        "README.md",
        "a/x.bat",
        "gitattributes",
        "link",
        "run.sh",
    ]
    assert source.changed_paths(project.id, first, sha) == [".gitattributes", "a/x.bat", "link", "run.sh"]
    assert source.changed_paths(project.id, ZERO, first) == ["README.md", "gitattributes"]
    assert source.changed_paths(project.id, "1" * 40, first) == ["README.md", "gitattributes"]
    commit = source.commit(project.id, sha)
    assert (commit.title, commit.author, commit.short_sha) == ("Second", "Ada Lovelace <ada@example.com>", sha[:8])


def test_names_resolve_to_branches_and_tags(source, filled) -> None:
    project, sha = filled
    for name, is_tag in (("main", False), ("refs/heads/topic/a", False), ("v2", True), ("refs/tags/v1", True)):
        found = source.resolve(project.id, name)
        assert (found.sha, found.is_tag) == (sha, is_tag)
        assert not found.ref.startswith("refs/")
    assert source.resolve(project.id, "nothing") is None
    assert source.resolve(project.id, "refs/tags/main") is None


def test_an_unknown_commit_or_project_is_not_found(source, filled) -> None:
    project, sha = filled
    for act in (
        lambda: source.commit(project.id, "1" * 40),
        lambda: source.read_file(project.id, "1" * 40, "x"),
        lambda: source.checkout_tar(project.id, "1" * 40, "main", depth=1, remote_url=REMOTE),
        lambda: source.commit(4711, sha),
    ):
        with pytest.raises(Fault, match="404"):
            act()
