"""A working tree with a usable `.git`, as one tar: what a job finds in its project folder.

git itself makes it, in a temporary folder: a shallow fetch of the commit from the bare repository (so nothing of the
job's copy leads back into ours), a detached checkout, then tar with owner 0:0. As with GitLab's runner the branch is
known as `origin/BRANCH` (or the tag as itself), HEAD is detached, and submodules stay empty folders.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from riad.forge import gitprogram
from riad.forge.model import BRANCHES, TAGS
from riad.kernel.faults import Fault, Kind

DEADLINE = 600.0
"""Seconds for each program; a large history takes its time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`ref` in full. `depth` counts commits from `sha` back; None is the whole history with all branches and tags."""

    sha: str
    ref: str
    depth: int | None
    remote_url: str


def checkout(repository: Path, wanted: Wanted, *, temporary: Path, tag_is_there: bool) -> BinaryIO:
    """The tar, at its beginning; an unlinked file in `temporary`, gone when it is closed."""
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkout-", dir=temporary) as folder:
        work = Path(folder)
        _git(work, "init", "--quiet", "--template=", "--initial-branch=main", ".")
        _git(work, *_fetch(repository, wanted, tag_is_there=tag_is_there))
        with (work / ".git" / "config").open("a") as config:
            config.write(configuration(wanted.remote_url))
        _git(work, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", "--detach", wanted.sha)
        return _tarred(work, temporary)


def _fetch(repository: Path, wanted: Wanted, *, tag_is_there: bool) -> Sequence[str]:
    options = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
    refs = [f"{wanted.sha}:refs/riad/checkout"]
    if wanted.ref.startswith(BRANCHES):
        refs = [f"{wanted.sha}:refs/remotes/origin/{wanted.ref.removeprefix(BRANCHES)}"]
    elif wanted.ref.startswith(TAGS) and tag_is_there:
        refs = [f"{wanted.ref}:{wanted.ref}"]
    if wanted.depth is None:
        everything = ["refs/heads/*:refs/remotes/origin/*", f"{TAGS}*:{TAGS}*"]
        refs = [*([] if wanted.ref.startswith((BRANCHES, TAGS)) else refs), *everything]
        refs = [*refs, wanted.sha]
    else:
        options.append(f"--depth={wanted.depth}")
    return [*options, repository.absolute().as_uri(), *refs]


def configuration(remote_url: str) -> str:
    """What a clone's configuration would say, and that file times alone do not make the tree look changed."""
    quoted = remote_url.replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
	trustctime = false
	checkStat = minimal
[remote "origin"]
	url = "{quoted}"
	fetch = +refs/heads/*:refs/remotes/origin/*
[gc]
	auto = 0
"""


def _git(work: Path, *arguments: str) -> None:
    _run(work, [gitprogram.GIT, *arguments])


def _tarred(work: Path, temporary: Path) -> BinaryIO:
    names = b"".join(b"./" + name + b"\0" for name in sorted(os.listdir(os.fsencode(work))))
    command = ["tar", "--create", "--file=-", "--owner=0", "--group=0", "--numeric-owner", "--null", "--files-from=-"]
    file = tempfile.TemporaryFile(dir=temporary)  # noqa: SIM115 -- handed to the caller, who closes it
    try:
        _run(work, command, stdin=names, stdout=file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _run(work: Path, command: Sequence[str], *, stdin: bytes = b"", stdout: BinaryIO | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=work,
            env=gitprogram.environment(),
            input=stdin,
            stdout=stdout if stdout is not None else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            umask=0o022,
            check=False,
        )
    except FileNotFoundError:
        raise Fault(Kind.UNAVAILABLE, f"the program {command[0]!r} is not installed on this host") from None
    except subprocess.TimeoutExpired:
        raise Fault(Kind.INTERNAL, f"the checkout did not finish within {DEADLINE:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise Fault(Kind.INTERNAL, f"the checkout failed: {said}")
