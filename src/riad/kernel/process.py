"""Runs programs: argument lists only, a deadline always, output bounded by memory of the caller's choosing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.kernel.faults import Fault, Kind


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    stdout: bytes
    stderr: bytes

    def said(self) -> str:
        """The last lines of what the program complained about, for an error message."""
        text = (self.stderr or self.stdout).decode(errors="replace").strip()
        return "\n".join(text.splitlines()[-5:])


async def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> Finished:
    """Runs `command` to its end.

    Raises UNAVAILABLE where the program is missing, INTERNAL where it fails (with `check`) or outlives `timeout`
    seconds; it is killed then, and when the caller is cancelled.
    """
    name = str(command[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
            cwd=cwd,
        )
    except FileNotFoundError:
        raise Fault(Kind.UNAVAILABLE, f"the program {name!r} is not installed on this host") from None
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate(stdin)
    except TimeoutError:
        raise Fault(Kind.INTERNAL, f"{name} did not finish within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    done = Finished(process.returncode if process.returncode is not None else -1, stdout, stderr)
    if check and done.code != 0:
        raise Fault(Kind.INTERNAL, f"{name} failed with exit code {done.code}: {done.said()}")
    return done
