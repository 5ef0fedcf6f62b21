"""A build's context: which Dockerfile it holds, and the same context with that Dockerfile beyond doubt.

A tar can be read in more than one way (entries twice, links, odd names). What was checked must be what is built, so
the context is written anew: every entry that could be taken for the Dockerfile is left out and the checked text comes
last, as a plain file. Blocking; call it in a thread.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from dataclasses import dataclass
from typing import IO, BinaryIO

from riad.dockerfile.instructions import Add, Instruction, Onbuild, Run
from riad.dockerfile.parse import parse, parse_trigger
from riad.dockerfile.references import references
from riad.kernel.faults import denied, exhausted, invalid

LARGEST = 8 * 1024**3
LARGEST_DOCKERFILE = 4 * 1024**2
_LINKS = 8


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`path` inside the context, `content`, and when and with which rights it came."""

    path: str
    content: bytes
    mtime: float
    mode: int


def find(context: BinaryIO, wanted: str) -> Dockerfile:
    """The Dockerfile of a tar (plain, gzip, bzip2 or xz). `Dockerfile` may also be written `dockerfile`.

    Raises INVALID where there is none, or the context is no tar.
    """
    path = inside(wanted)
    with _opened(context) as tar:
        index = {inside(member.name): member for member in _bounded(tar)}
        member = _resolved(index, path)
        if member is None and path == "Dockerfile":
            path = "dockerfile"
            member = _resolved(index, path)
        if member is None:
            raise invalid(f"Cannot locate specified Dockerfile: {wanted}")
        if member.size > LARGEST_DOCKERFILE:
            raise invalid(f"{wanted} is larger than {LARGEST_DOCKERFILE // 1024**2} MiB")
        file = tar.extractfile(member)
        assert file is not None
        return Dockerfile(path, file.read(), member.mtime, member.mode)


def repack(context: BinaryIO, target: IO[bytes], dockerfile: Dockerfile) -> None:
    """Writes the context to `target` as a plain tar in which `dockerfile.path` can only be `dockerfile`."""
    with _opened(context) as tar, tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as out:
        for member in _bounded(tar):
            name = inside(member.name)
            if name == dockerfile.path or (not member.isdir() and dockerfile.path.startswith(f"{name}/")):
                continue
            if member.islnk() and inside(member.linkname) == dockerfile.path:
                member.type, member.size = tarfile.REGTYPE, len(dockerfile.content)
                out.addfile(member, io.BytesIO(dockerfile.content))
                continue
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:  # written as plain files, sparse ones too
                member.type = tarfile.REGTYPE
                member.pax_headers = {k: v for k, v in member.pax_headers.items() if not k.startswith("GNU.sparse")}
            out.addfile(member, file)
        last = tarfile.TarInfo(dockerfile.path)
        last.size, last.mtime, last.mode = len(dockerfile.content), dockerfile.mtime, dockerfile.mode
        out.addfile(last, io.BytesIO(dockerfile.content))


def images(dockerfile: Dockerfile, arguments: dict[str, str | None]) -> tuple[str, ...]:
    """Every image that the build may read. Raises INVALID for a Dockerfile that cannot be read, DENIED for RUN options
    that reach beyond the build's own container."""
    parsed = parse(dockerfile.content)
    for stage in parsed.stages:
        for instruction in stage.instructions:
            _check_run(instruction)
            _check_add(instruction)
    return references(parsed, arguments)


def _check_run(instruction: Instruction) -> None:
    inner = parse_trigger(instruction.trigger) if isinstance(instruction, Onbuild) else instruction
    if not isinstance(inner, Run):
        return
    for option, value, good in (("network", inner.network, "none"), ("security", inner.security, "sandbox")):
        if value not in (None, "default", good):
            raise denied(f"riad: line {instruction.line}: a job's builds cannot use RUN --{option}={value}")


def _check_add(instruction: Instruction) -> None:
    """The engine itself fetches what ADD names, from inside the host's own network."""
    inner = parse_trigger(instruction.trigger) if isinstance(instruction, Onbuild) else instruction
    if not isinstance(inner, Add):
        return
    for source in inner.sources:
        if _may_be_remote(source):
            raise denied(
                f"riad: line {instruction.line}: ADD {source[:100]}: a job's builds fetch nothing from inside the "
                "host's network; fetch it in a RUN, or put it into the context"
            )


_REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "ftp://")
_MARKS = re.compile(r"[\\`\"']")
_ELSEWHERE = re.compile(r"[^/]*@[^/]*:")


def _may_be_remote(source: str) -> bool:
    """Also of one that a variable makes remote: whatever comes before the variable must rule that out."""
    before, variable, _ = _MARKS.sub("", source).lower().partition("$")
    if before.startswith(_REMOTE) or _ELSEWHERE.match(before):
        return True
    return (
        bool(variable)
        and "/" not in before
        and (not before or any(r.startswith(before) for r in _REMOTE) or "@" in before)
    )


def inside(name: str) -> str:
    """A name as a path below the context's root, without `.`, `..` beyond it, or a leading slash."""
    return posixpath.normpath(posixpath.join("/", name)).lstrip("/")


def _resolved(index: dict[str, tarfile.TarInfo], path: str) -> tarfile.TarInfo | None:
    """The plain file that `path` is, links followed."""
    for _ in range(_LINKS):
        member = index.get(path)
        if member is None:
            return None
        if member.isreg():
            return member
        if member.islnk():
            path = inside(member.linkname)
        elif member.issym():
            path = inside(posixpath.join(posixpath.dirname(path), member.linkname))
        else:
            return None
    return None


def _opened(context: BinaryIO) -> tarfile.TarFile:
    context.seek(0)
    try:
        return tarfile.open(fileobj=context, mode="r:*")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise invalid(f"the build's context is no tar: {error}") from None


def _bounded(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """Its entries. Raises EXHAUSTED where they come to more than `LARGEST`, INVALID where it is cut off."""
    found: list[tarfile.TarInfo] = []
    size = 0
    try:
        for member in tar:
            size += max(0, member.size) + 512
            if size > LARGEST:
                raise exhausted(
                    f"the build's context is larger than {LARGEST // 1024**3} GiB; add a .dockerignore file"
                )
            found.append(member)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise invalid(f"the build's context is no tar: {error}") from None
    return found
