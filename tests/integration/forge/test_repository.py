"""Reading repositories that stock git has made."""

import os

import pytest

from forges import CLOCK
from riad.forge import projects
from riad.forge.diff import Change
from riad.forge.edits import Action, Editor, FileAction
from riad.forge.model import RefUpdate
from riad.forge.repository import Narrow, Repository
from riad.forge.tree import EntryKind
from riad.identity import users
from riad.kernel.faults import Fault, Kind


@pytest.fixture
def work(git_program):
    return git_program.repository("work", README_md="one\n", old_txt="".join(f"{n}\n" for n in range(20)))


@pytest.fixture
def read(forge, git_program, work):
    """Pushes what is in the working copy and opens the repository."""
    ada = forge.user("ada")
    project = forge.project(ada)

    def pushed() -> Repository:
        git_program("push", "--quiet", "--all", forge.url("demo/hello.git", ada), cwd=work)
        git_program("push", "--quiet", "--tags", forge.url("demo/hello.git", ada), cwd=work)
        return forge.repository(project)

    return pushed


def head(git_program, work, ref: str = "HEAD") -> str:
    return git_program("rev-parse", ref, cwd=work)


def test_each_entry_of_a_folder_names_its_last_commit(read, git_program, work) -> None:
    (work / "a" / "b").mkdir(parents=True)
    (work / "a" / "b" / "deep.txt").write_text("x")
    git_program.commit(work, "Deep")
    git_program.commit(work, "Readme", README_md="two\n")
    git_program("checkout", "--quiet", "-b", "side", "HEAD~1", cwd=work)
    git_program.commit(work, "Side", side_txt="s")
    git_program("checkout", "--quiet", "main", cwd=work)
    git_program("merge", "--quiet", "--no-ff", "--message", "Merge", "side", cwd=work)
    repository = read()
    found = {t.entry.name: t.commit.title for t in repository.touched(head(git_program, work)) if t.commit}
    assert found == {"a": "Deep", "README.md": "Readme", "old.txt": "First", "side.txt": "Side"}
    assert [e.name for e in repository.tree(head(git_program, work))] == ["a", "old.txt", "README.md", "side.txt"]
    assert [t.commit.title for t in repository.touched(head(git_program, work), "a/b") if t.commit] == ["Deep"]


def test_a_file_is_read_up_to_a_limit_and_told_from_binary(read, git_program, work) -> None:
    (work / "large.txt").write_bytes(b"a" * 5000)
    (work / "x.bin").write_bytes(b"a\0b")
    sha = git_program.commit(work, "Files")
    repository = read()
    large = repository.blob(sha, "large.txt", limit=100)
    assert large is not None
    assert (large.size, len(large.data), large.truncated, large.is_binary) == (5000, 100, True, False)
    binary = repository.blob(sha, "x.bin")
    assert binary is not None
    assert binary.is_binary
    assert repository.blob(sha, "nothing") is None


def test_names_that_are_not_utf_8_do_no_harm(read, git_program, work) -> None:
    (work / os.fsdecode(b"\xff\xfe.txt")).write_text("x")
    sha = git_program.commit(work, "Strange")
    repository = read()
    names = [entry.name for entry in repository.tree(sha)]
    assert os.fsdecode(b"\xff\xfe.txt") in names
    assert repository.commit_diff(sha).added == 1


def test_a_diff_has_hunks_with_numbered_lines(read, git_program, work) -> None:
    lines = [f"{n}\n" for n in range(20)]
    lines[10] = "ten\n"
    sha = git_program.commit(work, "Change", old_txt="".join(lines))
    (file,) = read().commit_diff(sha).files
    assert (file.change, file.added, file.deleted) == (Change.MODIFIED, 1, 1)
    changed = [(line.mark, line.old, line.new, line.text) for line in file.hunks[0].lines if line.mark in "+-"]
    assert changed == [("-", 11, None, "10"), ("+", None, 11, "ten")]
    assert file.text().startswith("@@ -8,7 +8,7 @@")


def test_renames_deletions_binaries_and_missing_newlines(read, git_program, work) -> None:
    (work / "x.bin").write_bytes(b"\0" * 10)
    git_program.commit(work, "Before", gone_txt="bye\n")
    (work / "old.txt").rename(work / "new.txt")
    (work / "gone.txt").unlink()
    (work / "x.bin").write_bytes(b"\0" * 11)
    (work / "README.md").write_text("no newline")
    sha = git_program.commit(work, "After")
    files = {file.new_path: file for file in read().commit_diff(sha).files}
    assert (files["new.txt"].change, files["new.txt"].old_path) == (Change.RENAMED, "old.txt")
    assert files["gone.txt"].change is Change.DELETED
    assert (files["x.bin"].binary, files["x.bin"].hunks) == (True, ())
    assert files["README.md"].text().endswith("+no newline\n\\ No newline at end of file\n")


def test_a_file_too_large_to_compare_is_named_only(read, git_program, work) -> None:
    (work / "large.txt").write_text("line\n" * 300_000)
    (work / "long.txt").write_text("line\n" * 6_000)
    sha = git_program.commit(work, "Large")
    files = {file.new_path: file for file in read().commit_diff(sha).files}
    assert (files["large.txt"].too_large, files["large.txt"].hunks) == (True, ())
    assert (files["long.txt"].too_large, files["long.txt"].added) == (True, 6000)


def test_the_first_commit_is_compared_with_nothing(read, git_program, work) -> None:
    assert {file.change for file in read().commit_diff(head(git_program, work)).files} == {Change.ADDED}


def test_history_by_page_path_and_range(read, git_program, work) -> None:
    first = head(git_program, work)
    shas = [git_program.commit(work, f"c{n}", **{f"f{n}_txt": "x"}) for n in range(5)]
    repository = read()
    assert [c.title for c in repository.log(shas[-1], skip=1, limit=2)] == ["c3", "c2"]
    assert [c.title for c in repository.log(shas[-1], path="f1.txt")] == ["c1"]
    assert [c.title for c in repository.log(shas[-1], narrow=Narrow(hide=shas[2]))] == ["c4", "c3"]
    assert [c.title for c in repository.between(first, shas[1])] == ["c1", "c0"]
    assert repository.count(shas[-1]) == 6
    assert repository.ahead_behind(shas[3], shas[1]) == (2, 0)
    assert repository.is_ancestor(first, shas[-1])
    assert not repository.is_ancestor(shas[-1], first)
    assert not repository.is_ancestor("1" * 40, first)


def test_names_resolve_and_nothing_else_does(read, git_program, work) -> None:
    git_program("tag", "--annotate", "v1", "--message", "One", cwd=work)
    git_program("branch", "feature/x", cwd=work)
    sha, repository = head(git_program, work), read()
    for name in ("main", "v1", "feature/x", "refs/heads/main", "refs/tags/v1", "HEAD", sha, sha[:8]):
        assert repository.resolve(name).sha == sha
    for name in ("", "nothing", "main~1", "@{-1}", ":/First", "-x", "refs/heads/../../HEAD", "1" * 40, "a\0b"):
        with pytest.raises(Fault) as caught:
            repository.resolve(name)
        assert caught.value.kind is Kind.NOT_FOUND


def test_an_empty_repository_is_empty(forge) -> None:
    repository = forge.repository(forge.project(forge.user("ada")))
    assert repository.is_empty()
    assert (repository.branches(), repository.tags(), repository.find("HEAD")) == ([], [], None)


def test_submodules_are_named_and_not_entered(read, git_program, work) -> None:
    sha = head(git_program, work)
    git_program("update-index", "--add", "--cacheinfo", f"160000,{sha},lib", cwd=work)
    git_program("commit", "--quiet", "--message", "Submodule", cwd=work)
    sha = head(git_program, work)
    repository = read()
    kinds = {entry.path: entry.kind for entry in repository.walk(sha)}
    assert kinds["lib"] is EntryKind.COMMIT
    assert repository.blob(sha, "lib") is None
    assert repository.changed_paths(None, sha) == ["README.md", "lib", "old.txt"]
    assert len(repository.commit_diff(sha).files) == 1
    assert repository.touched(sha)


def test_two_editors_never_overwrite_each_other(forge, read) -> None:
    repository = read()
    with forge.database.read() as session:
        project, ada = projects.by_path(session, "demo/hello"), users.by_username(session, "ada")
    assert project is not None
    assert ada is not None
    editor = Editor(forge.database, forge.repositories, CLOCK, project, ada)
    before = repository.resolve("main").sha
    commit = editor.commit("main", [FileAction(Action.UPDATE, "README.md", b"ada\n")], message="Ada")
    assert commit.parents == (before,)
    with pytest.raises(Fault) as caught:
        editor.move(RefUpdate("refs/heads/main", before, before))
    assert caught.value.kind is Kind.CONFLICT
    assert [event["after"] for event in forge.events()][-1] == commit.sha
