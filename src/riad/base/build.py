"""Making a base image: mmdebstrap with the host's mirror, the result kept as a tar under a key of all it depends on.

The key covers the recipe, the package sources, the authorities and the finishing script, not the packages' versions: a
kept image is used until it is made anew on request. Files' times are clamped to the date of the suite's release file,
so that the same packages give the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import fcntl
import hashlib
import json
import os
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.base import host
from riad.base.host import Source
from riad.base.recipes import Recipe
from riad.kernel.faults import Fault, Kind, unavailable
from riad.kernel.process import run

_FINISH = Path(__file__).with_name("finish.sh")
_SERVICES = Path(__file__).with_name("services.sh")
_APT_HELPER = "/usr/lib/apt/apt-helper"
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
_LONGEST = 1800.0  # seconds
_LEFT_OUT = ("man/*", "info/*", "doc/*", "lintian/*", "locale/*/LC_MESSAGES/*.mo", "groff/*", "bash-completion/*")
_STEP = re.compile(r"^I: (.+)$")

Say = Callable[[str], None]
"""Told, in a few words, what is being done."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that a base image is made of."""

    recipe: Recipe
    sources: tuple[Source, ...]
    authorities: tuple[Path, ...]

    def key(self) -> str:
        """Sixteen hexadecimal digits."""
        parts = (
            self.recipe.text(),
            *(source.line() for source in self.sources),
            host.fingerprint(self.authorities),
            os.uname().machine,
            _FINISH.read_text(),
            repr(_LEFT_OUT),
            *([_SERVICES.read_text()] if self.recipe.service is not None else []),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def changes(self) -> list[str]:
        return self.recipe.changes(key=self.key(), extra_authorities=bool(self.authorities))


@dataclass(frozen=True, slots=True)
class Kept:
    """A made base image. `size` in bytes, `seconds` it took to make."""

    name: str
    key: str
    tar: Path
    size: int
    seconds: float


def ingredients(recipe: Recipe) -> Ingredients:
    """Raises UNAVAILABLE where the host's apt has no sources of its own distribution."""
    _, codename = host.distribution()
    sources = host.sources_for(host.apt_sources(), codename, recipe.release.codename)
    if not sources:
        raise unavailable(
            f"apt on this host has no source for {codename}: base images are made from its package mirror"
        )
    return Ingredients(recipe, tuple(sources), tuple(host.extra_authorities()))


def kept(folder: Path, wanted: Ingredients) -> Kept | None:
    tar, note = _files(folder, wanted)
    try:
        found = json.loads(note.read_text())
        return Kept(wanted.recipe.name, wanted.key(), tar, tar.stat().st_size, float(found["seconds"]))
    except (OSError, ValueError, LookupError):
        return None


async def make(folder: Path, wanted: Ingredients, *, say: Say, anew: bool = False) -> Kept:
    """The kept image, made first where there is none (or `anew`). One at a time per key over all processes.

    Raises UNAVAILABLE where mmdebstrap or the suite is missing, INTERNAL with the end of its output where it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    async with _alone(folder / f"{wanted.key()}.lock", say):
        found = None if anew else kept(folder, wanted)
        if found is not None:
            return found
        began = asyncio.get_running_loop().time()
        await _make(folder, wanted, say)
        _, note = _files(folder, wanted)
        note.write_text(json.dumps({"name": wanted.recipe.name, "seconds": round(_since(began), 1)}) + "\n")
    made = kept(folder, wanted)
    assert made is not None
    return made


def command(wanted: Ingredients, target: Path) -> list[str]:
    """The mmdebstrap that makes `target`; it reads the package sources from standard input. Pure."""
    recipe = wanted.recipe
    packages = list(recipe.packages)
    steps = ["container_apt", *recipe.steps, "tidy"]
    if wanted.authorities:
        packages += [] if "ca-certificates" in packages else ["ca-certificates"]
        steps.insert(1, "authorities")
    finish = f'sh {shlex.quote(str(_FINISH))} "$1"'
    return [
        "mmdebstrap",
        "--variant=apt",
        "--format=tar",
        # finish.sh does it: mmdebstrap's own way runs apt outside the image, and with it the image's apt hooks.
        "--skip=cleanup/apt",
        # Ours stays in the image.
        "--skip=chroot/policy-rc.d",
        *([f"--hook-dir={_MERGED_USR}"] if _MERGED_USR.is_dir() else []),
        *(f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in _LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Apt::Install-Recommends "false"',
        *([f"--include={','.join(packages)}"] if packages else []),
        f"--essential-hook={finish} no_services",
        f"--customize-hook={finish} {' '.join(steps)}",
        *([f'--customize-hook=sh {shlex.quote(str(_SERVICES))} "$1" {recipe.service.step}'] if recipe.service else []),
        recipe.release.codename,
        str(target),
        "-",
    ]


def environment(wanted: Ingredients, epoch: int, outer: Mapping[str, str]) -> dict[str, str]:
    """What the tools run with: the caller's environment without its locale, the date that times are clamped to."""
    kept_ = {name: value for name, value in outer.items() if not name.startswith(("LC_", "LANG"))}
    authorities = " ".join(str(path) for path in wanted.authorities)
    return {**kept_, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch), "RIAD_BASE_AUTHORITIES": authorities}


def release_epoch(text: str) -> int:
    """The moment of a suite's Release file (`Date: Sat, 11 Jul 2026 10:16:37 UTC`), in seconds."""
    match = re.search(r"^Date: (.+)$", text, re.MULTILINE)
    if match is None:
        raise Fault(Kind.UNAVAILABLE, "the package mirror's Release file has no date")
    return int(email.utils.parsedate_to_datetime(match[1].replace("UTC", "+0000")).timestamp())


async def _make(folder: Path, wanted: Ingredients, say: Say) -> None:
    tar, _ = _files(folder, wanted)
    say("asking the package mirror")
    epoch = await _epoch(wanted)
    partial = tar.with_suffix(".partial")
    log = folder / f"{wanted.key()}.log"
    try:
        code = await _follow(
            command(wanted, partial),
            "\n".join(source.line() for source in wanted.sources) + "\n",
            environment(wanted, epoch, os.environ),
            log,
            say,
        )
        if code != 0:
            raise Fault(
                Kind.INTERNAL, f"mmdebstrap could not make {wanted.recipe.name}:\n{_end(log)}\n(all of it: {log})"
            )
        partial.rename(tar)
    finally:
        partial.unlink(missing_ok=True)


async def _epoch(wanted: Ingredients) -> int:
    """The newest date of the suites' release files: tells at once where the mirror has no such suite, too."""
    dates = []
    with tempfile.TemporaryDirectory(prefix="riad-base-") as scratch:
        for number, source in enumerate({(source.uri, source.suite) for source in wanted.sources}):
            uri, suite = source
            target = Path(scratch) / str(number)
            url = f"{uri.rstrip('/')}/dists/{suite}/InRelease"
            done = await run(
                [_APT_HELPER, "-o", "APT::Sandbox::User=root", "download-file", url, target], timeout=120, check=False
            )
            if done.code != 0:
                raise unavailable(
                    f"{wanted.recipe.name} needs {wanted.recipe.release}, and the package mirror of this host does not "
                    f"answer for {suite}: {done.said()}"
                )
            dates.append(release_epoch(target.read_text(errors="replace")))
    return max(dates)


async def _follow(argv: Sequence[str], stdin: str, environ: Mapping[str, str], log: Path, say: Say) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
            limit=2**20,
        )
    except FileNotFoundError:
        raise unavailable("mmdebstrap is not installed: apt-get install mmdebstrap") from None
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        process.stdin.write(stdin.encode())
        process.stdin.close()
        async with asyncio.timeout(_LONGEST):
            with log.open("wb") as file:
                async for line in _lines(process.stderr):
                    file.write(line + b"\n")
                    if step := _STEP.match(line.decode(errors="replace")):
                        say(step[1].removesuffix("..."))
            return await process.wait()
    except TimeoutError:
        raise Fault(Kind.INTERNAL, f"mmdebstrap did not finish within {_LONGEST:g} s:\n{_end(log)}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()  # it removes its temporary folder then
            await process.wait()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines, where a carriage return ends one too (progress bars)."""
    rest = b""
    while data := await stream.read(65536):
        *lines, rest = re.split(rb"[\r\n]", rest + data)
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


@contextlib.asynccontextmanager
async def _alone(path: Path, say: Say) -> AsyncIterator[None]:
    """Holds the lock file for the block; another process that has it is waited for."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another `riad base build` of the same image")
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def _files(folder: Path, wanted: Ingredients) -> tuple[Path, Path]:
    stem = f"{wanted.recipe.family}-{wanted.recipe.tag}-{wanted.key()}"
    return folder / f"{stem}.tar", folder / f"{stem}.json"


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:])


def _since(began: float) -> float:
    return asyncio.get_running_loop().time() - began
