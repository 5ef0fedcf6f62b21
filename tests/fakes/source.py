"""Repositories as plain values: commits with files, branches, and a checkout tar. Steer it by adding commits."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime

from riad.kernel.faults import not_found


@dataclass(frozen=True, slots=True)
class FakeCommit:
    sha: str
    message: str
    files: dict[str, bytes]
    author: str = "Ada <ada@example.org>"
    committed_at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    @property
    def short_sha(self) -> str:
        return self.sha[:8]

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class FakeRef:
    ref: str
    is_tag: bool
    sha: str


@dataclass
class FakeSource:
    commits: dict[str, FakeCommit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, files: dict[str, str | bytes], *, message: str = "Change it", branch: str = "main") -> str:
        """A commit on `branch` on top of the branch's files; returns its sha."""
        held = dict(self.commits[self.branches[branch]].files) if branch in self.branches else {}
        held.update((path, data.encode() if isinstance(data, str) else data) for path, data in files.items())
        sha = hashlib.sha1(repr((len(self.commits), message, sorted(held.items()))).encode()).hexdigest()
        self.commits[sha] = FakeCommit(sha, message, held)
        self.branches[branch] = sha
        return sha

    def commit(self, project_id: int, sha: str) -> FakeCommit:
        if sha not in self.commits:
            raise not_found(f"there is no commit {sha}")
        return self.commits[sha]

    def read_file(self, project_id: int, sha: str, path: str) -> bytes | None:
        return self.commit(project_id, sha).files.get(path)

    def list_paths(self, project_id: int, sha: str) -> list[str]:
        return sorted(self.commit(project_id, sha).files)

    def changed_paths(self, project_id: int, before: str, after: str) -> list[str]:
        old, new = self.commit(project_id, before).files, self.commit(project_id, after).files
        return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))

    def resolve(self, project_id: int, ref: str) -> FakeRef | None:
        for known, is_tag in ((self.branches, False), (self.tags, True)):
            short = ref.removeprefix("refs/tags/" if is_tag else "refs/heads/")
            if short in known:
                return FakeRef(short, is_tag, known[short])
        return None

    def checkout_tar(self, project_id: int, sha: str, ref: str, *, depth: int | None, remote_url: str) -> io.BytesIO:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            config = f'[remote "origin"]\n\turl = {remote_url}\n'.encode()
            for path, data in {**self.commit(project_id, sha).files, ".git/config": config}.items():
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        out.seek(0)
        return out
