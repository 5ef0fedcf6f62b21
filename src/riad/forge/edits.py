"""Changing a repository without a push: branches, tags and commits made through an API or a page.

A ref is moved like a push moves it (`pushes`): intention first, git itself with the old value as a condition, then the
announcement. So two people who edit the same branch at once never overwrite each other: the second gets a conflict.
"""

from __future__ import annotations

import enum
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from riad.forge import gitprogram, projects, pushes
from riad.forge.history import Commit
from riad.forge.model import BRANCHES, TAGS, ZERO, Project, RefUpdate
from riad.forge.repositories import Repositories
from riad.forge.repository import Repository
from riad.identity.model import User
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import conflict, denied, invalid, not_found

DEADLINE = 60.0


class Action(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MOVE = "move"
    CHMOD = "chmod"


@dataclass(frozen=True, slots=True)
class FileAction:
    """What to do with one file. `content` None keeps what it holds (MOVE, CHMOD); `executable` None its mode."""

    action: Action
    path: str
    content: bytes | None = None
    previous_path: str | None = None
    executable: bool | None = None
    last_seen: str | None = None
    """The last commit of the file that the author knew of: a newer one is a conflict."""


@dataclass(frozen=True, slots=True)
class Author:
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Editor:
    """Edits one project's repository for one user, whose access the caller has checked."""

    database: Database
    repositories: Repositories
    clock: Clock
    project: Project
    user: User
    announced: Callable[[], None] = lambda: None

    @property
    def _path(self) -> Path:
        return self.repositories.existing(self.project.storage)

    @property
    def repository(self) -> Repository:
        return Repository(self._path)

    def create_branch(self, name: str, start: str) -> Commit:
        """From a branch, tag or commit. Raises INVALID for the name or start, CONFLICT where the branch exists."""
        projects.check_branch(name)
        commit = _start(self.repository, start)
        if self.repository.branch(name) is not None:
            raise conflict(f"Branch already exists: {name}")
        self.move(RefUpdate(BRANCHES + name, ZERO, commit.sha))
        return commit

    def delete_branch(self, name: str) -> None:
        branch = self.repository.branch(name)
        if branch is None:
            raise not_found("404 Branch Not Found")
        if name == self.project.default_branch:
            raise denied(f"{name} is the default branch; make another branch the default first")
        self.move(RefUpdate(BRANCHES + name, branch.commit.sha, ZERO))

    def create_tag(self, name: str, start: str, *, message: str = "") -> None:
        """Annotated where there is a message. Raises as `create_branch` does."""
        projects.check_branch(name)
        repository = self.repository
        commit = _start(repository, start)
        if repository.ref(TAGS + name) is not None:
            raise conflict(f"Tag {name} already exists")
        target = commit.sha
        if message:
            signature = self._signature(Author(self.user.name, self.user.email))
            git = pygit2.Repository(str(self._path))
            target = str(_tag_object(git, name, commit.sha, signature, message))
        self.move(RefUpdate(TAGS + name, ZERO, target))

    def delete_tag(self, name: str) -> None:
        target = self.repository.ref(TAGS + name)
        if target is None:
            raise not_found("404 Tag Not Found")
        self.move(RefUpdate(TAGS + name, target, ZERO))

    def commit(
        self,
        branch: str,
        actions: Sequence[FileAction],
        *,
        message: str,
        start: str | None = None,
        author: Author | None = None,
    ) -> Commit:
        """One commit on `branch`, which is made (from `start`, or as the first of an empty repository) if need be.

        Raises INVALID for an action that does not fit the tree, CONFLICT where the branch or a file has moved on.
        """
        projects.check_branch(branch)
        repository = self.repository
        head = repository.branch(branch)
        base = head.commit if head is not None else self._base(repository, start)
        if head is not None and start is not None and start != branch:
            raise conflict(f"Branch already exists: {branch}; leave the start out to commit on top of it")
        git = pygit2.Repository(str(self._path))
        tree = _apply(git, repository, base, actions)
        signature = self._signature(author or Author(self.user.name, self.user.email))
        committer = self._signature(Author(self.user.name, self.user.email))
        parents = [pygit2.Oid(hex=base.sha)] if base is not None else []
        sha = str(git.create_commit(None, signature, committer, message, tree, parents))
        self.move(RefUpdate(BRANCHES + branch, head.commit.sha if head is not None else ZERO, sha))
        return repository.resolve(sha)

    def _base(self, repository: Repository, start: str | None) -> Commit | None:
        if start is not None:
            return _start(repository, start)
        if repository.is_empty():
            return None
        raise invalid("You can only create or edit files when you are on a branch that exists, or name a start branch")

    def _signature(self, author: Author) -> pygit2.Signature:
        name = "".join(c for c in author.name if c not in "<>\n\0").strip() or self.user.username
        email = "".join(c for c in author.email if c not in "<>\n\0").strip()
        return pygit2.Signature(name, email, int(self.clock.now().timestamp()), 0)

    def move(self, update: RefUpdate) -> None:
        """Raises CONFLICT where the ref is not what `update` expects it to be."""
        projects.require_writable(self.project)
        with self.database.write() as session:
            push = pushes.begin(
                session, project_id=self.project.id, user_id=self.user.id, updates=[update], clock=self.clock
            )
        done = None
        try:
            with pushes.in_progress(self._path) as lock:
                done = _update_ref(self._path, update, lock)
        finally:
            accepted = frozenset({update.ref} if done is not None and done.returncode == 0 else ())
            with self.database.write() as session:
                pushes.settle(
                    session,
                    self.repositories,
                    push,
                    accepted=accepted if done is not None else None,
                    clock=self.clock,
                )
        if done.returncode != 0:
            raise conflict(f"{update.ref} has been changed by somebody else meanwhile; look again and repeat")
        self.announced()


def _update_ref(path: Path, update: RefUpdate, lock: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [gitprogram.GIT, "--git-dir", path, "update-ref", update.ref, update.after, update.before],
        env=gitprogram.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        pass_fds=[lock],
        check=False,
    )


def _start(repository: Repository, start: str) -> Commit:
    found = repository.find(start)
    if found is None:
        raise invalid(f"Invalid reference name: {start[:100]}")
    return found


def _tag_object(
    git: pygit2.Repository, name: str, target: str, signature: pygit2.Signature, message: str
) -> pygit2.Oid:
    """The tag object alone: the ref is moved afterwards, by git."""
    who = f"{signature.name} <{signature.email}> {signature.time} +0000"
    text = f"object {target}\ntype commit\ntag {name}\ntagger {who}\n\n{message.rstrip()}\n"
    return git.odb.write(pygit2.enums.ObjectType.TAG, text.encode())


def _apply(
    git: pygit2.Repository, repository: Repository, base: Commit | None, actions: Sequence[FileAction]
) -> pygit2.Oid:
    index = pygit2.Index()
    if base is not None:
        index.read_tree(git[base.sha].peel(pygit2.Tree))
    for action in actions:
        _check_path(action.path)
        if base is not None and action.last_seen is not None:
            _refuse_moved_on(repository, base, action)
        _perform(git, index, action)
    return index.write_tree(git)


def _perform(git: pygit2.Repository, index: pygit2.Index, action: FileAction) -> None:
    match action.action:
        case Action.CREATE:
            if action.path in index:
                raise invalid("A file with this name already exists")
            _put(git, index, action, content=action.content or b"", mode=FileMode.BLOB)
        case Action.UPDATE:
            held = _held(index, action.path)
            _put(git, index, action, content=action.content or b"", mode=held.mode)
        case Action.DELETE:
            _held(index, action.path)
            index.remove(action.path)
        case Action.MOVE:
            held = _held(index, action.previous_path or "")
            if action.path in index:
                raise invalid("A file with this name already exists")
            index.remove(held.path)
            if action.content is None:
                index.add(pygit2.IndexEntry(action.path, held.id, held.mode))
            else:
                _put(git, index, action, content=action.content, mode=held.mode)
        case Action.CHMOD:
            held = _held(index, action.path)
            mode = FileMode.BLOB_EXECUTABLE if action.executable else FileMode.BLOB
            index.add(pygit2.IndexEntry(action.path, held.id, mode))


def _put(git: pygit2.Repository, index: pygit2.Index, action: FileAction, *, content: bytes, mode: FileMode) -> None:
    if action.executable is not None:
        mode = FileMode.BLOB_EXECUTABLE if action.executable else FileMode.BLOB
    index.add(pygit2.IndexEntry(action.path, git.create_blob(content), mode))


def _held(index: pygit2.Index, path: str) -> pygit2.IndexEntry:
    try:
        return index[path]
    except KeyError:
        raise invalid("A file with this name doesn't exist") from None


def _refuse_moved_on(repository: Repository, base: Commit, action: FileAction) -> None:
    last = repository.last_commit(base.sha, action.previous_path or action.path)
    if last is not None and last.sha != action.last_seen:
        raise invalid(
            f"You are attempting to update a file that has changed since you started editing it: {action.path}"
        )


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not path or "\0" in path or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts):
        raise invalid(f"{path[:200]!r} is not a path that can be in a repository")
