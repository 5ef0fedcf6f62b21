from pathlib import Path

import httpx
import pytest

from riad.forge.model import ZERO
from riad.identity import users
from riad.identity.model import Access, Visibility

GIT_TYPE = {"Content-Type": "application/x-git-upload-pack-request"}


def test_a_pushed_branch_is_announced_and_can_be_cloned(forge, git_program, tmp_path: Path) -> None:
    ada = forge.user("ada")
    project = forge.project(ada)
    work = git_program.repository("work")
    sha = git_program("rev-parse", "HEAD", cwd=work)
    git_program("remote", "add", "origin", forge.url("demo/hello.git", ada), cwd=work)

    said = git_program("push", "--set-upstream", "origin", "main", cwd=work)

    assert "Watch it: http://riad/demo/hello" in said
    assert forge.events() == [
        {
            "project_id": project.id,
            "ref": "refs/heads/main",
            "before": ZERO,
            "after": sha,
            "user_id": ada.id,
            "options": [],
        }
    ]
    git_program("clone", forge.url("demo/hello.git", ada), tmp_path / "copy")
    assert git_program("rev-parse", "HEAD", cwd=tmp_path / "copy") == sha


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_protocol_version_fetches_and_pushes(forge, git_program, tmp_path: Path, version: str) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    speak = ("-c", f"protocol.version={version}")
    git_program(*speak, "push", forge.url("demo/hello.git", ada), "main", cwd=work)
    git_program(*speak, "clone", forge.url("demo/hello.git", ada), tmp_path / "copy")
    sha = git_program.commit(work, "Second", more_txt="more")
    git_program(*speak, "push", forge.url("demo/hello.git", ada), "main", cwd=work)
    git_program(*speak, "pull", cwd=tmp_path / "copy")
    assert git_program("rev-parse", "HEAD", cwd=tmp_path / "copy") == sha
    assert len(forge.events()) == 2


def test_the_path_works_without_its_ending_and_in_any_case(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    git_program("push", forge.url("demo/hello", ada), "main", cwd=git_program.repository("work"))
    assert "refs/heads/main" in git_program("ls-remote", forge.url("Demo/Hello.git", ada))


def test_updates_tags_and_deletions_are_announced(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    first = git_program("rev-parse", "HEAD", cwd=work)
    git_program("remote", "add", "origin", forge.url("demo/hello.git", ada), cwd=work)
    git_program("push", "origin", "main", "main:refs/heads/topic/a", cwd=work)
    second = git_program.commit(work, "Second")
    git_program("tag", "v1", cwd=work)
    git_program("tag", "--annotate", "v2", "--message", "Two", cwd=work)
    git_program("push", "--atomic", "origin", "main", "v1", "v2", ":topic/a", cwd=work)
    found = {event["ref"]: (event["before"], event["after"]) for event in forge.events()[2:]}
    assert found == {
        "refs/heads/main": (first, second),
        "refs/heads/topic/a": (first, ZERO),
        "refs/tags/v1": (ZERO, second),
        "refs/tags/v2": (ZERO, git_program("rev-parse", "v2", cwd=work)),
    }


def test_a_push_that_git_rejects_announces_nothing(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    git_program("remote", "add", "origin", forge.url("demo/hello.git", ada), cwd=work)
    git_program("push", "origin", "main", cwd=work)
    said = git_program("push", "origin", ":main", cwd=work, check=False)
    assert "refusing to delete the current branch" in said
    assert len(forge.events()) == 1


def test_push_options_are_announced_with_each_ref(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    options = ("-o", "ci.skip", "-o", "ci.variable=A=b c")
    git_program("push", *options, forge.url("demo/hello.git", ada), "main", "main:topic", cwd=work)
    assert [event["options"] for event in forge.events()] == [["ci.skip", "ci.variable=A=b c"]] * 2


def test_a_push_option_that_nobody_knows_refuses_the_push_by_name(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    url = forge.url("demo/hello.git", ada)
    said = git_program("push", "-o", "merge_request.create", url, "main", cwd=work, check=False)
    assert "[remote rejected] main -> main (push option 'merge_request.create' is not supported" in said
    assert forge.events() == []
    assert git_program("ls-remote", url) == ""


def test_other_refs_are_kept_and_not_announced(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    git_program("push", forge.url("demo/hello.git", ada), "main:refs/notes/commits", cwd=work)
    assert forge.events() == []


def test_the_default_branch_follows_the_first_push(forge, git_program) -> None:
    ada = forge.user("ada")
    project = forge.project(ada)
    work = git_program.repository("work")
    git_program("push", forge.url("demo/hello.git", ada), "main:trunk", cwd=work)
    assert forge.again(project).default_branch == "trunk"
    assert "refs/heads/trunk\tHEAD" in git_program("ls-remote", "--symref", forge.url("demo/hello.git", ada))
    git_program("push", forge.url("demo/hello.git", ada), "main:main", cwd=work)
    assert forge.again(project).default_branch == "trunk"


def test_a_large_push_and_fetch_pass_as_streams(forge, git_program, tmp_path: Path) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    noise = bytes(range(256)) * 4096
    for number in range(12):
        (work / f"{number}.bin").write_bytes(bytes([number]) + _shuffled(noise, number))
    sha = git_program.commit(work, "Large")
    git_program("push", forge.url("demo/hello.git", ada), "main", cwd=work)
    git_program("clone", forge.url("demo/hello.git", ada), tmp_path / "copy")
    assert git_program("rev-parse", "HEAD", cwd=tmp_path / "copy") == sha
    git_program("fsck", "--full", cwd=tmp_path / "copy")


def _shuffled(data: bytes, seed: int) -> bytes:
    import random

    return random.Random(seed).randbytes(len(data))


# who may


def test_nobody_signed_in_is_asked_to_sign_in_whether_the_project_exists_or_not(forge) -> None:
    forge.project(forge.user("ada"))
    answers = [
        httpx.get(f"{forge.address}/demo/{name}.git/info/refs?service=git-upload-pack") for name in ("hello", "nothing")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].headers["www-authenticate"] == 'Basic realm="Riad"'
    assert answers[0].text == answers[1].text


def test_a_public_project_is_cloned_by_anybody_and_pushed_to_by_members_alone(forge, git_program, tmp_path) -> None:
    ada, eve = forge.user("ada"), forge.user("eve")
    forge.project(ada, visibility=Visibility.PUBLIC)
    work = git_program.repository("work")
    git_program("push", forge.url("demo/hello.git", ada), "main", cwd=work)
    git_program("clone", forge.url("demo/hello.git"), tmp_path / "copy")
    said = git_program("push", forge.url("demo/hello.git", eve), "main:x", cwd=work, check=False)
    assert "remote: eve may not push to demo/hello: pushing takes the developer role" in said
    assert "403" in said


def test_a_stranger_sees_no_difference_between_a_private_project_and_none(forge, git_program) -> None:
    ada, eve = forge.user("ada"), forge.user("eve")
    forge.project(ada)
    answers = [git_program("ls-remote", forge.url(f"demo/{n}.git", eve), check=False) for n in ("hello", "nobody")]
    assert answers[0].replace("hello", "nobody") == answers[1]
    assert "remote: there is no project demo/hello that eve may see" in answers[0]


def test_a_push_to_a_missing_project_says_how_to_create_it(forge, git_program) -> None:
    said = git_program(
        "push", forge.url("demo/new.git", forge.user("ada")), "main", cwd=git_program.repository("work"), check=False
    )
    assert "create it first, on the web page or with: riad project create demo/new" in said


def test_a_guest_may_not_read_the_code_and_a_reporter_may(forge, git_program) -> None:
    ada, bob = forge.user("ada"), forge.user("bob")
    project = forge.project(ada)
    forge.member(project, bob, Access.GUEST)
    assert "403" in git_program("ls-remote", forge.url("demo/hello.git", bob), check=False)
    forge.member(project, bob, Access.REPORTER)
    git_program("ls-remote", forge.url("demo/hello.git", bob))
    assert "403" in git_program(
        "push", forge.url("demo/hello.git", bob), "main", cwd=git_program.repository("work"), check=False
    )
    forge.member(project, bob, Access.DEVELOPER)
    git_program("push", forge.url("demo/hello.git", bob), "main", cwd=git_program.home / "work")


@pytest.mark.parametrize(
    ("scope", "fetches", "pushes"),
    [
        ("api", True, True),
        ("write_repository", True, True),
        ("read_repository", True, False),
        ("read_registry", False, False),
    ],
)
def test_a_token_does_what_its_scopes_cover(forge, git_program, scope: str, fetches: bool, pushes: bool) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    url = forge.url("demo/hello.git", ada, forge.token(ada, scope))
    git_program("ls-remote", url, check=fetches)
    git_program("push", url, "main", cwd=git_program.repository("work"), check=pushes)


def test_a_job_fetches_its_own_project_and_pushes_nothing(forge, git_program) -> None:
    ada = forge.user("ada")
    own, other = forge.project(ada), forge.project(ada, "other")
    token = forge.job_token(ada, own)
    base = forge.address.replace("://", f"://gitlab-ci-token:{token}@")
    git_program("ls-remote", f"{base}/{own.path}.git")
    git_program("ls-remote", f"{base}/{other.path}.git", check=False)
    said = git_program("push", f"{base}/{own.path}.git", "main", cwd=git_program.repository("work"), check=False)
    assert "a job's token cannot push" in said


def test_an_archived_project_is_read_only(forge, git_program) -> None:
    from riad.forge import projects
    from riad.identity.model import Kind, Principal

    ada = forge.user("ada")
    project = forge.project(ada)
    with forge.database.write() as session:
        projects.archive(session, Principal(ada, Kind.SESSION, frozenset({"api"})), project)
    git_program("ls-remote", forge.url("demo/hello.git", ada))
    said = git_program(
        "push", forge.url("demo/hello.git", ada), "main", cwd=git_program.repository("work"), check=False
    )
    assert "is archived and read-only" in said


def test_a_blocked_user_and_a_wrong_password_are_refused_alike(forge, git_program) -> None:
    root, ada = forge.user("admin1", is_admin=True), forge.user("ada")
    forge.project(ada)
    assert root.is_admin
    wrong = git_program("ls-remote", forge.url("demo/hello.git", ada, "wrong-password"), check=False)
    with forge.database.write() as session:
        users.block(session, ada.id)
    assert git_program("ls-remote", forge.url("demo/hello.git", ada), check=False) == wrong
    assert "Authentication failed" in wrong


def test_a_one_time_password_says_what_to_do(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    with forge.database.write() as session:
        users.change_password(session, ada.id, "first-and-only", one_time=True)
    said = git_program("ls-remote", forge.url("demo/hello.git", ada, "first-and-only"), check=False)
    assert "sign in on the web page and choose your own first" in said


# what is refused


def test_the_dumb_protocol_is_refused_by_name(forge) -> None:
    forge.project(forge.user("ada"))
    answer = httpx.get(f"{forge.address}/demo/hello.git/info/refs")
    assert answer.status_code == 403
    assert "smart protocol" in answer.text


def test_a_body_that_is_not_what_it_says_is_refused(forge) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    who = ("ada", "secret-of-ada")
    address = f"{forge.address}/demo/hello.git/git-receive-pack"
    kind = {"Content-Type": "application/x-git-receive-pack-request"}
    assert httpx.post(address, content=b"zzzz", auth=who, headers=kind).status_code == 400
    assert httpx.post(address, content=b"x", auth=who).status_code == 400
    assert (
        httpx.post(address, content=b"no gzip", auth=who, headers={**kind, "Content-Encoding": "gzip"}).status_code
        == 400
    )
    assert httpx.post(address, content=b"0000", auth=who, headers={**kind, "Content-Encoding": "br"}).status_code == 501
    assert forge.events() == []
