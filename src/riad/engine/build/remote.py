"""Files from elsewhere, for ADD and as contexts: what a URL gives, and git repositories at a commit.

A git address is `URL#REF:FOLDER`; REF is a branch, tag or commit (the default branch where it is missing). Nothing of a
repository is run: no hooks, no filters but git's own.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import os
import re
import shutil
import urllib.parse
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from riad.engine.build.clients import Client
from riad.kernel import process
from riad.kernel.faults import Fault, Kind, invalid, unavailable

_DEADLINE = 600.0
_PIECE = 1 << 18
_LARGEST = 16 * 2**30
_SETTINGS = ("core.hooksPath=/dev/null", "protocol.ext.allow=never", "core.autocrlf=false", "advice.detachedHead=false")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class GitAddress:
    """`url` without its fragment."""

    url: str
    ref: str = ""
    folder: str = ""


def git_address(text: str) -> GitAddress | None:
    """What `text` says where it is a git address, else None."""
    url, _, fragment = text.partition("#")
    short = re.match(r"[\w.-]+@[\w.-]+:", url) and "://" not in url
    http = re.match(r"https?://[^?]+\.git$", url)
    if not (short or http or url.startswith(("git://", "ssh://"))):
        return None
    ref, _, folder = fragment.partition(":")
    if url.startswith("-") or ref.startswith("-"):
        raise invalid(f"{text}: a git address or reference cannot begin with -")
    return GitAddress(url, ref, folder.strip("/"))


def is_http(text: str) -> bool:
    return text.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was fetched: where it is, its name by the server or the address, its digest, its time."""

    file: Path
    name: str
    digest: str
    mtime_ns: int


async def download(url: str, folder: Path, *, checksum: str = "") -> Download:
    """Fetches `url` into the existing `folder`. Raises INVALID where the checksum is another, UNAVAILABLE."""
    if checksum and not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
        raise invalid(f"--checksum={checksum}: expected sha256: and 64 hex digits")
    file = folder / f"download-{len(os.listdir(folder))}"
    state, size = hashlib.sha256(), 0
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as web, web.get(url) as answer:
            if answer.status != 200:
                raise unavailable(f"{url}: the server answered {answer.status} {answer.reason}")
            with file.open("xb", buffering=0) as out:
                async for piece in answer.content.iter_chunked(_PIECE):
                    size += len(piece)
                    if size > _LARGEST:
                        raise invalid(f"{url}: larger than {_LARGEST} bytes")
                    state.update(piece)
                    await asyncio.to_thread(out.write, piece)
            name, moment = _name(url, answer), _modified(answer.headers)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise unavailable(f"{url}: {error or type(error).__name__}") from None
    digest = state.hexdigest()
    if checksum and checksum != f"sha256:{digest}":
        raise invalid(f"digest mismatch sha256:{digest}: {checksum}")
    return Download(file, name, digest, moment)


def _name(url: str, answer: aiohttp.ClientResponse) -> str:
    given = answer.content_disposition.filename if answer.content_disposition else None
    name = os.path.basename(given or urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    return name if name not in ("", ".", "..") else ""


def _modified(headers: Mapping[str, str]) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()) * 10**9
    except (TypeError, ValueError):
        return 0


@dataclass(frozen=True, slots=True)
class Checkout:
    """A repository's files at `commit`, below `folder`."""

    folder: Path
    commit: str


async def commit_of(address: GitAddress, client: Client, beside: Path) -> str:
    """The commit that the address means now. Raises INVALID for a reference that is not there, UNAVAILABLE."""
    if _COMMIT.fullmatch(address.ref):
        return address.ref
    wanted = address.ref or "HEAD"
    async with AsyncExitStack() as stack:
        environ = await _environ(address, client, beside, stack)
        listing = await _git(beside, environ, "ls-remote", address.url, wanted, f"refs/tags/{wanted}^{{}}")
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listing.splitlines())}
    for name in (f"refs/tags/{wanted}^{{}}", f"refs/heads/{wanted}", f"refs/tags/{wanted}", wanted):
        if name in found:
            return found[name]
    raise invalid(f"repository {address.url} does not contain ref {wanted}")


async def checkout(
    address: GitAddress, commit: str, client: Client, beside: Path, *, keep_git_dir: bool = False
) -> Checkout:
    """The files at `commit` in a new folder of `beside`, with submodules. Raises INVALID, UNAVAILABLE."""
    folder = beside / f"git-{len(os.listdir(beside))}"
    folder.mkdir()
    async with AsyncExitStack() as stack:
        environ = await _environ(address, client, beside, stack)
        await _git(folder, environ, "init", "-q")
        await _git(folder, environ, "remote", "add", "origin", address.url)
        try:
            await _git(folder, environ, "fetch", "-q", "--depth=1", "origin", commit)
        except Fault:  # servers need not give a commit by its name
            await _git(folder, environ, "fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        await _git(folder, environ, "checkout", "-q", commit)
        if (folder / ".gitmodules").exists():
            await _git(folder, environ, "submodule", "update", "-q", "--init", "--recursive", "--depth=1")
    if not keep_git_dir:
        await asyncio.to_thread(_without_git, folder)
    return Checkout(_inside(folder, address.folder), commit)


def _without_git(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    for link in folder.rglob(".git"):
        if link.is_file():
            link.unlink()


def _inside(folder: Path, below: str) -> Path:
    found = (folder / below).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.is_dir():
        raise invalid(f"the repository has no folder {below}")
    return found


async def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str:
    settings = (
        "core.hooksPath=/dev/null",
        "protocol.ext.allow=never",
        "core.autocrlf=false",
        "advice.detachedHead=false",
    )
    command = ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]
    done = await process.run(command, cwd=folder, environ=environ, timeout=_DEADLINE, check=False)
    if done.code != 0:
        said = done.said().strip().splitlines()
        raise Fault(Kind.UNAVAILABLE, f"git {arguments[0]}: {said[-1] if said else 'failed without saying why'}")
    return done.stdout.decode(errors="replace")


async def _environ(address: GitAddress, client: Client, beside: Path, stack: AsyncExitStack) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name.upper().endswith("_PROXY")}
    environ |= {"PATH": os.environ.get("PATH", os.defpath), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    environ |= {"HOME": str(beside), "LC_ALL": "C"}
    if not is_http(address.url) and not address.url.startswith("git://") and await client.has_agent("default"):
        socket = beside / "git-agent"
        await stack.enter_async_context(client.agent("default", socket))
        environ["SSH_AUTH_SOCK"] = str(socket)
        environ["GIT_SSH_COMMAND"] = "ssh -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null"
    return environ
