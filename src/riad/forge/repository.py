"""Reading a bare repository, with pygit2. Safe while pushes happen: objects never change and are never removed, and a
ref is read once per question.

Opening costs about a tenth of a millisecond: make one per request or job, and do not share it between threads.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, SortMode

from riad.forge import diff, tree
from riad.forge.diff import Diff
from riad.forge.history import Branch, Commit, Tag, commit_value
from riad.forge.model import BRANCHES, TAGS, ZERO
from riad.forge.tree import SHOWN_BLOB, Blob, Entry, Touched
from riad.kernel.faults import not_found

_SHA = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{4,39}")


@functools.cache
def _alone() -> None:
    """libgit2, like the git program here, reads no configuration but the repository's own (process-wide, once)."""
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = "/nonexistent"
    pygit2.settings.owner_validation = False


MOST_WALKED = 20_000


@dataclass(frozen=True, slots=True)
class Narrow:
    """What a log is narrowed to: nothing that `hide` has (`git log hide..sha`), committed between two moments, by an
    author whose name or address holds a text; `also` are further commits to start from.
    """

    hide: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    author: str | None = None
    also: tuple[str, ...] = ()

    @property
    def filters(self) -> bool:
        return self.since is not None or self.until is not None or bool(self.author)

    def holds(self, commit: Commit) -> bool:
        at = commit.committer.at
        return (
            (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
            and (not self.author or self.author.lower() in str(commit.author).lower())
        )


class Repository:
    def __init__(self, path: Path) -> None:
        _alone()
        self.path = path
        self._git = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.BARE)

    # refs

    def ref(self, name: str) -> str | None:
        """What a full ref name (`refs/heads/main`) points to: a commit, or the tag object of an annotated tag."""
        try:
            return str(self._git.lookup_reference(name).resolve().target)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def is_empty(self) -> bool:
        return next(self._names(BRANCHES), None) is None

    def branches(self) -> list[Branch]:
        """By name."""
        found = ((name, self._commit_of(BRANCHES + name)) for name in self._names(BRANCHES))
        return sorted((Branch(name, commit) for name, commit in found if commit is not None), key=lambda b: b.name)

    def branch(self, name: str) -> Branch | None:
        commit = self._commit_of(BRANCHES + name)
        return Branch(name, commit) if commit is not None else None

    def tags(self) -> list[Tag]:
        """The newest commit first."""
        found = [tag for name in self._names(TAGS) if (tag := self.tag(name)) is not None]
        return sorted(found, key=lambda tag: (-tag.commit.committer.at.timestamp(), tag.name))

    def tag(self, name: str) -> Tag | None:
        target = self.ref(TAGS + name)
        commit = self._commit_of(TAGS + name)
        if target is None or commit is None:
            return None
        held = self._git[target]
        message = held.message if isinstance(held, pygit2.Tag) else None
        return Tag(name=name, target=target, message=message, commit=commit)

    def _names(self, prefix: str) -> Iterator[str]:
        return (name.removeprefix(prefix) for name in self._git.references if name.startswith(prefix))

    def _commit_of(self, ref: str) -> Commit | None:
        target = self.ref(ref)
        return self._commit(target) if target is not None else None

    def set_default_branch(self, name: str) -> None:
        """HEAD: what a clone checks out."""
        self._git.references.create("HEAD", BRANCHES + name, force=True)

    # commits

    def resolve(self, ref: str) -> Commit:
        """From a branch, a tag, a full ref name, `HEAD`, or (the beginning of) a commit's sha. Raises NOT_FOUND."""
        found = self.find(ref)
        if found is None:
            raise not_found(f"404 Commit Not Found: there is no branch, tag or commit {ref[:100]!r}")
        return found

    def find(self, ref: str) -> Commit | None:
        """As `resolve`; None where there is nothing."""
        if ref == "HEAD" or ref.startswith("refs/"):
            return self._commit_of(ref)
        found = self._commit_of(BRANCHES + ref) or self._commit_of(TAGS + ref)
        if found is None and (_SHA.fullmatch(ref) or _SHORT.fullmatch(ref)):
            found = self._commit(ref)
        return found

    def commit(self, sha: str) -> Commit | None:
        return self._commit(sha) if _SHA.fullmatch(sha) else None

    def _commit(self, sha: str) -> Commit | None:
        try:
            return commit_value(self._git[sha].peel(pygit2.Commit))
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def log(
        self, sha: str, *, path: str = "", skip: int = 0, limit: int = 20, narrow: Narrow | None = None
    ) -> list[Commit]:
        """From `sha` back, newest first; with `path` those that changed it. Looks at no more than MOST_WALKED."""
        narrow = narrow or Narrow()
        walker = self._git.walk(pygit2.Oid(hex=sha), SortMode.TOPOLOGICAL | SortMode.TIME)
        for other in narrow.also:
            walker.push(pygit2.Oid(hex=other))
        if narrow.hide is not None:
            walker.hide(pygit2.Oid(hex=narrow.hide))
        chosen: Iterator[pygit2.Commit] = iter(walker)
        if path.strip("/"):
            chosen = (commit for commit in islice(chosen, MOST_WALKED) if self._changed(commit, path))
        if narrow.filters:
            chosen = (commit for commit in islice(chosen, MOST_WALKED) if narrow.holds(commit_value(commit)))
        return [commit_value(commit) for commit in islice(chosen, skip, skip + limit)]

    def between(self, old: str, new: str, *, limit: int = 100) -> list[Commit]:
        """What `new` has and `old` has not, newest first (`git log old..new`)."""
        walker = self._git.walk(pygit2.Oid(hex=new), SortMode.TOPOLOGICAL | SortMode.TIME)
        walker.hide(pygit2.Oid(hex=old))
        return [commit_value(commit) for commit in islice(walker, limit)]

    def count(self, sha: str, *, most: int = 10_000) -> int:
        """How many commits there are up to `sha`, counted no further than `most`."""
        return sum(1 for _ in islice(self._git.walk(pygit2.Oid(hex=sha), SortMode.NONE), most))

    def _changed(self, commit: pygit2.Commit, path: str) -> bool:
        """Differs from every parent there."""
        here = _id(tree.entry_at(commit.tree, path))
        parents = [_id(tree.entry_at(parent.tree, path)) for parent in commit.parents]
        return all(parent != here for parent in parents) if parents else here is not None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Also true of a commit and itself; false where either is missing."""
        if self.commit(ancestor) is None or self.commit(descendant) is None:
            return False
        return ancestor == descendant or bool(self._git.descendant_of(descendant, ancestor))

    def merge_base(self, one: str, other: str) -> str | None:
        found = self._git.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other))
        return str(found) if found is not None else None

    def ahead_behind(self, sha: str, base: str) -> tuple[int, int]:
        """How many commits `sha` has that `base` has not, and the other way round."""
        ahead, behind = self._git.ahead_behind(pygit2.Oid(hex=sha), pygit2.Oid(hex=base))
        return int(ahead), int(behind)

    # trees

    def _tree(self, sha: str) -> pygit2.Tree:
        try:
            found: pygit2.Tree = self._git[sha].peel(pygit2.Tree)
        except (KeyError, ValueError, pygit2.GitError):
            raise not_found(f"404 Commit Not Found: there is no commit {sha[:100]!r}") from None
        return found

    def _folder(self, sha: str, path: str) -> pygit2.Tree:
        found = tree.entry_at(self._tree(sha), path)
        if not isinstance(found, pygit2.Tree):
            raise not_found(f"404 Tree Not Found: there is no folder {path!r}")
        return found

    def tree(self, sha: str, path: str = "") -> list[Entry]:
        """One folder, folders first. Raises NOT_FOUND."""
        return tree.entries(self._folder(sha, path), path)

    def walk(self, sha: str, path: str = "") -> Iterator[Entry]:
        """Everything below a folder. Raises NOT_FOUND."""
        return tree.walk(self._folder(sha, path), path, repository=self._git)

    def touched(self, sha: str, path: str = "") -> list[Touched]:
        """One folder with the last commit of each entry, as far as a bounded look back finds them."""
        commits = tree.last_commits(self._git, pygit2.Oid(hex=sha), path)
        return [Touched(entry, commits.get(entry.name)) for entry in self.tree(sha, path)]

    def entry(self, sha: str, path: str) -> Entry | None:
        """A folder's or file's own entry; None for what is not there and for the root."""
        found = tree.entry_at(self._tree(sha), path)
        prefix = path.strip("/").rpartition("/")
        return tree.entry_value(found, prefix[0] + prefix[1]) if found is not None and path.strip("/") else None

    def blob(self, sha: str, path: str, *, limit: int = SHOWN_BLOB) -> Blob | None:
        """A file's first `limit` bytes and its size; None where there is no file (a folder is none)."""
        found = tree.entry_at(self._tree(sha), path)
        if not isinstance(found, pygit2.Blob):
            return None
        return tree.blob_value(self._git, found, path.strip("/"), limit=limit)

    def blob_by_sha(self, sha: str, *, limit: int = SHOWN_BLOB) -> Blob | None:
        found = self._git.get(sha) if _SHA.fullmatch(sha) else None
        return tree.blob_value(self._git, found, "", limit=limit) if isinstance(found, pygit2.Blob) else None

    def last_commit(self, sha: str, path: str) -> Commit | None:
        """The last one that changed the path."""
        return next(iter(self.log(sha, path=path, limit=1)), None)

    # differences

    def diff(self, before: str | None, after: str) -> Diff:
        """Between two commits; `before` None or ZERO is the empty tree."""
        return diff.between(self._git, self._tree_or_none(before), self._tree(after))

    def commit_diff(self, sha: str) -> Diff:
        """What a commit changed against its first parent."""
        commit = self.resolve(sha)
        return self.diff(commit.parents[0] if commit.parents else None, commit.sha)

    def changed_paths(self, before: str | None, after: str) -> list[str]:
        """Sorted; everything there is where `before` is None, ZERO, or not known (a history that was rewritten)."""
        old = self._tree_or_none(before if before is not None and self.commit(before) is not None else None)
        return sorted(set(diff.changed_paths(self._git, old, self._tree(after))))

    def _tree_or_none(self, sha: str | None) -> pygit2.Tree | None:
        return None if sha is None or sha == ZERO else self._tree(sha)


def _id(found: pygit2.Object | None) -> pygit2.Oid | None:
    return found.id if found is not None else None
