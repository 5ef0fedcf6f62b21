"""That no push is lost, whatever is cut off where."""

import base64
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from forges import Forge
from riad.forge import pushes
from riad.forge.model import ZERO, Project, RefUpdate
from riad.forge.repositories import Repositories
from riad.forge.store import PushRow
from riad.kernel.db import Database


@pytest.fixture
def house(database: Database, tmp_path: Path, git_program):
    """A forge without a server, on each database: refs are moved by git on the spot."""
    return Forge(database, Repositories(tmp_path / "repositories"), tmp_path)


def moved(house, git_program, project: Project, work: Path, ref: str = "refs/heads/main") -> str:
    """git has moved the ref; nobody has told the database."""
    path = house.repositories.existing(project.storage)
    git_program("push", "--quiet", path, f"HEAD:{ref}", cwd=work)
    return git_program("rev-parse", "HEAD", cwd=work)


def begun(house, project: Project, user_id: int, *updates: RefUpdate, clock) -> int:
    with house.database.write() as session:
        return pushes.begin(session, project_id=project.id, user_id=user_id, updates=updates, clock=clock)


def settled(house, push: int, accepted: frozenset[str] | None, clock) -> list[RefUpdate]:
    with house.database.write() as session:
        return pushes.settle(session, house.repositories, push, accepted=accepted, clock=clock)


def open_pushes(house) -> int:
    with house.database.read() as session:
        return len(session.scalars(select(PushRow)).all())


def test_a_push_that_git_had_done_is_announced_at_the_next_start(house, git_program, clock) -> None:
    ada = house.user("ada")
    project = house.project(ada)
    begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, "1" * 40), clock=clock)
    sha = moved(house, git_program, project, git_program.repository("work"))
    assert pushes.recover(house.database, house.repositories, clock=clock) == 1
    assert house.events() == [
        {
            "project_id": project.id,
            "ref": "refs/heads/main",
            "before": ZERO,
            "after": sha,
            "user_id": ada.id,
            "options": [],
        }
    ]
    assert open_pushes(house) == 0
    assert pushes.recover(house.database, house.repositories, clock=clock) == 0


def test_a_push_that_git_had_not_done_is_forgotten_at_the_next_start(house, clock) -> None:
    ada = house.user("ada")
    project = house.project(ada)
    begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, "1" * 40), clock=clock)
    pushes.recover(house.database, house.repositories, clock=clock)
    assert house.events() == []
    assert open_pushes(house) == 0


def test_a_settled_push_is_not_announced_again(house, git_program, clock) -> None:
    ada = house.user("ada")
    project = house.project(ada)
    push = begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, "1" * 40), clock=clock)
    moved(house, git_program, project, git_program.repository("work"))
    assert len(settled(house, push, None, clock)) == 1
    assert settled(house, push, None, clock) == []
    assert len(house.events()) == 1


def test_two_quick_pushes_to_one_ref_are_two_events_whoever_settles_first(house, git_program, clock) -> None:
    ada, bob = house.user("ada"), house.user("bob")
    project = house.project(ada)
    work = git_program.repository("work")
    first = moved(house, git_program, project, work)
    one = begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, first), clock=clock)
    git_program.commit(work, "Second")
    second = moved(house, git_program, project, work)
    two = begun(house, project, bob.id, RefUpdate("refs/heads/main", first, second), clock=clock)
    done = frozenset({"refs/heads/main"})
    settled(house, two, done, clock)
    settled(house, one, done, clock)
    assert [(e["before"], e["after"], e["user_id"]) for e in house.events()] == [
        (first, second, bob.id),
        (ZERO, first, ada.id),
    ]


def test_recovery_waits_for_a_git_that_still_runs(house, git_program, clock) -> None:
    ada = house.user("ada")
    project = house.project(ada)
    work = git_program.repository("work")
    begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, "1" * 40), clock=clock)
    path = house.repositories.existing(project.storage)
    with pushes.in_progress(path) as lock:
        running = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with ThreadPoolExecutor() as pool:
        recovering = pool.submit(pushes.recover, house.database, house.repositories, clock=clock)
        moved(house, git_program, project, work)
        assert not recovering.done()
        running.communicate(b"")
        assert recovering.result(10) == 1
    assert len(house.events()) == 1


def test_a_repository_that_is_missing_does_not_stop_the_others(house, git_program, clock) -> None:
    ada = house.user("ada")
    gone, there = house.project(ada, "gone"), house.project(ada, "there")
    for project in (gone, there):
        begun(house, project, ada.id, RefUpdate("refs/heads/main", ZERO, "1" * 40), clock=clock)
    moved(house, git_program, there, git_program.repository("work"))
    house.repositories.remove(gone.storage)
    pushes.recover(house.database, house.repositories, clock=clock)
    assert [event["project_id"] for event in house.events()] == [there.id]


# over HTTP


def test_pushes_at_once_are_all_announced(forge, git_program) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    works = [git_program.repository(f"work{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        said = list(
            pool.map(
                lambda item: git_program(
                    "push", forge.url("demo/hello.git", ada), f"HEAD:refs/heads/b{item[0]}", cwd=item[1]
                ),
                enumerate(works),
            )
        )
    assert len(said) == 6
    assert {event["ref"] for event in forge.events()} == {f"refs/heads/b{number}" for number in range(6)}


def test_the_client_is_answered_only_after_the_announcement(forge, git_program, monkeypatch) -> None:
    """While settling waits, git waits: nothing that was acknowledged can be lost."""
    ada = forge.user("ada")
    forge.project(ada)
    work = git_program.repository("work")
    settling, go_on = threading.Event(), threading.Event()
    settle = pushes.settle

    def slowly(*args, **options):
        settling.set()
        assert go_on.wait(20)
        return settle(*args, **options)

    monkeypatch.setattr(pushes, "settle", slowly)
    push = subprocess.Popen(
        ["git", "push", forge.url("demo/hello.git", ada), "main"], cwd=work, env=git_program.environment
    )
    assert settling.wait(20)
    with pytest.raises(subprocess.TimeoutExpired):
        push.wait(0.3)
    go_on.set()
    assert push.wait(20) == 0
    assert len(forge.events()) == 1


def test_a_push_whose_announcement_fails_is_not_acknowledged_and_recovered_later(
    forge, git_program, monkeypatch, clock
) -> None:
    ada = forge.user("ada")
    forge.project(ada)
    settle = pushes.settle
    monkeypatch.setattr(pushes, "settle", _broken)
    git_program("push", forge.url("demo/hello.git", ada), "main", cwd=git_program.repository("work"), check=False)
    assert forge.events() == []
    monkeypatch.setattr(pushes, "settle", settle)
    assert pushes.recover(forge.database, forge.repositories, clock=clock) == 1
    assert len(forge.events()) == 1


def _broken(*_args: object, **_options: object) -> None:
    raise RuntimeError("the disk is full")


def test_a_client_that_leaves_in_its_push_ends_git_and_changes_nothing(forge, git_program) -> None:
    ada = forge.user("ada")
    project = forge.project(ada)
    host, _, port = forge.address.removeprefix("http://").partition(":")
    head = f"{ZERO} {'1' * 40} refs/heads/main\0 report-status side-band-64k"
    body = f"{len(head) + 4:04x}{head}0000".encode() + b"PACK\0\0\0\2\0\0\0\1"
    login = base64.b64encode(b"ada:secret-of-ada").decode()
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            b"POST /demo/hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            b"Content-Type: application/x-git-receive-pack-request\r\n"
            b"Authorization: Basic " + login.encode() + b"\r\n\r\n" + body
        )
        until(lambda: open_pushes(forge) == 1)
    until(lambda: open_pushes(forge) == 0)
    assert forge.events() == []
    path = forge.repositories.existing(project.storage)
    until(lambda: not _runs_on(path))
    git_program("push", forge.url("demo/hello.git", ada), "main", cwd=git_program.repository("work"))


def test_a_client_that_leaves_in_its_fetch_ends_git(forge, git_program) -> None:
    ada = forge.user("ada")
    project = forge.project(ada)
    work = git_program.repository("work")
    (work / "large.bin").write_bytes(random.Random(1).randbytes(40_000_000))
    sha = git_program.commit(work, "Large")
    git_program("push", forge.url("demo/hello.git", ada), "main", cwd=work)
    line = f"want {sha} side-band-64k ofs-delta\n"
    body = f"{len(line) + 4:04x}{line}00000009done\n".encode()
    path = forge.repositories.existing(project.storage)
    with (
        httpx.Client(auth=("ada", "secret-of-ada"), timeout=20) as client,
        client.stream(
            "POST",
            f"{forge.address}/demo/hello.git/git-upload-pack",
            content=body,
            headers={"Content-Type": "application/x-git-upload-pack-request"},
        ) as answer,
    ):
        assert answer.status_code == 200
        chunks = answer.iter_raw()
        next(chunks)
        assert _runs_on(path)
    until(lambda: not _runs_on(path))


def _runs_on(path: Path) -> bool:
    """Whether a git process names the repository on its command line."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes()
        except OSError:
            continue
        if words.startswith(b"git") and str(path).encode() in words:
            return True
    return False


def until(holds, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
