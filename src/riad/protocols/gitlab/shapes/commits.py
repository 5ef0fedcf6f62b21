"""Commits, branches, tags, trees, files and diffs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from riad.forge.diff import Change, Diff, FileDiff
from riad.forge.history import Branch, Commit, Tag
from riad.forge.model import Project
from riad.forge.tree import Blob, Entry
from riad.protocols.gitlab.shapes.moments import local

Shape = dict[str, Any]


def commit(commit: Commit, project: Project, url: str) -> Shape:
    return {
        "id": commit.sha,
        "short_id": commit.short_sha,
        "created_at": local(commit.committer.at),
        "parent_ids": list(commit.parents),
        "title": commit.title,
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "authored_date": local(commit.author.at),
        "committer_name": commit.committer.name,
        "committer_email": commit.committer.email,
        "committed_date": local(commit.committer.at),
        "trailers": {},
        "extended_trailers": {},
        "web_url": f"{url}/{project.path}/-/commit/{commit.sha}",
    }


def detail(found: Commit, project: Project, url: str, *, diff: Diff, last_pipeline: Shape | None) -> Shape:
    return commit(found, project, url) | {
        "stats": {"additions": diff.added, "deletions": diff.deleted, "total": diff.added + diff.deleted},
        "status": last_pipeline["status"] if last_pipeline is not None else None,
        "project_id": project.id,
        "last_pipeline": last_pipeline,
    }


def branch(branch: Branch, project: Project, url: str, *, can_push: bool) -> Shape:
    return {
        "name": branch.name,
        "commit": commit(branch.commit, project, url),
        "merged": False,
        "protected": False,
        "developers_can_push": False,
        "developers_can_merge": False,
        "can_push": can_push,
        "default": branch.name == project.default_branch,
        "web_url": f"{url}/{project.path}/-/tree/{quote(branch.name)}",
    }


def tag(tag: Tag, project: Project, url: str) -> Shape:
    return {
        "name": tag.name,
        "message": tag.message.rstrip("\n") if tag.message is not None else "",
        "target": tag.target,
        "commit": commit(tag.commit, project, url),
        "release": None,
        "protected": False,
        "created_at": local(tag.commit.committer.at) if tag.message is not None else None,
    }


def entry(entry: Entry) -> Shape:
    return {
        "id": entry.sha,
        "name": _utf8(entry.name),
        "type": entry.kind.value,
        "path": _utf8(entry.path),
        "mode": entry.mode,
    }


def _utf8(name: str) -> str:
    """Names of strangers' files need not be UTF-8; JSON has to be."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def file_headers(blob: Blob, *, ref: str, commit: Commit, last: Commit, sha256: str) -> dict[str, str]:
    """What a HEAD of a file answers."""
    return {
        "X-Gitlab-Blob-Id": blob.sha,
        "X-Gitlab-Commit-Id": commit.sha,
        "X-Gitlab-Content-Sha256": sha256,
        "X-Gitlab-Encoding": "base64",
        "X-Gitlab-File-Name": quote(blob.path.rpartition("/")[2]),
        "X-Gitlab-File-Path": quote(blob.path),
        "X-Gitlab-Last-Commit-Id": last.sha,
        "X-Gitlab-Ref": quote(ref),
        "X-Gitlab-Size": str(blob.size),
        "X-Gitlab-Execute-Filemode": str(blob.mode == "100755").lower(),
    }


def file_diff(file: FileDiff) -> Shape:
    gone, made = file.change is Change.DELETED, file.change is Change.ADDED
    return {
        "diff": "" if file.binary else file.text(),
        "collapsed": False,
        "too_large": file.too_large,
        "new_path": file.new_path,
        "old_path": file.old_path,
        "a_mode": "0" if made else file.old_mode,
        "b_mode": "0" if gone else file.new_mode,
        "new_file": made,
        "renamed_file": file.change is Change.RENAMED,
        "deleted_file": gone,
        "generated_file": False,
    }
