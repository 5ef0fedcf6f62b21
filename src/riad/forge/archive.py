"""A commit's files as one archive, streamed from git as it is made."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from riad.forge import gitprogram
from riad.kernel.faults import Fault, Kind, invalid

FORMATS = ("tar.gz", "tgz", "tar", "zip")
CHUNK = 64 * 1024


def stream(repository: Path, sha: str, *, form: str, prefix: str, path: str = "") -> Iterator[bytes]:
    """Names begin with `prefix/`. Raises INVALID for an unknown `form`, before the first chunk."""
    if form not in FORMATS:
        raise invalid(f"an archive as {form!r} is not supported; {', '.join(FORMATS)} are")
    command = [
        gitprogram.GIT, "--git-dir", str(repository), "archive", f"--format={form}", f"--prefix={prefix}/", sha,
        *(["--", path] if path else []),
    ]  # fmt: skip
    return _chunks(command)


def _chunks(command: list[str]) -> Iterator[bytes]:
    process = subprocess.Popen(
        command,
        env=gitprogram.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        while data := process.stdout.read(CHUNK):
            yield data
        if process.wait() != 0:
            raise Fault(Kind.INTERNAL, "git could not finish the archive")
    finally:
        process.stdout.close()
        process.terminate()
        process.wait()
