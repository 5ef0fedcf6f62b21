from riad.forge import housekeeping


def test_tidying_keeps_every_object_and_ref(forge, git_program, monkeypatch) -> None:
    ada = forge.user("ada")
    project = forge.project(ada)
    work = git_program.repository("work")
    lost = git_program.commit(work, "Lost", x_txt="lost")
    git_program("push", "--quiet", forge.url("demo/hello.git", ada), "main", cwd=work)
    git_program("reset", "--quiet", "--hard", "HEAD~1", cwd=work)
    sha = git_program.commit(work, "Kept", x_txt="kept")
    git_program("push", "--quiet", "--force", forge.url("demo/hello.git", ada), "main", cwd=work)
    path = forge.repositories.existing(project.storage)
    assert not housekeeping.is_due(path)
    assert housekeeping.tidy_due(forge.database, forge.repositories) == 0
    monkeypatch.setattr(housekeeping, "MANY_PACKS", -1)
    assert housekeeping.tidy_due(forge.database, forge.repositories) == 1
    repository = forge.repository(project)
    assert repository.resolve("main").sha == sha
    assert repository.commit(lost) is not None
    assert list((path / "objects" / "pack").glob("*.pack"))
