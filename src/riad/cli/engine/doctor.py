"""`riad engine doctor`: looks at the host and says what to do about each finding."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riad.cli.engine.asking import DEFAULT_HOST, info

if TYPE_CHECKING:
    from riad.engine.doctor.findings import Finding

_COLOURS = {"good": "green", "note": "cyan", "warning": "yellow", "problem": "red"}
_ENGINE = "/var/lib/riad/engine"


@click.command()
@click.option("--data-root", type=click.Path(path_type=Path), help="The engine's data. [default: the running engine's]")
@click.option("-H", "--host", default=DEFAULT_HOST, show_default=True, help="Where a running engine listens.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def doctor(*, data_root: Path | None, host: str, as_json: bool) -> None:
    """Examine this host: kernel, control groups, programs, disk, network, limits.

    Ends with 1 where something keeps the engine from working, otherwise with 0.
    """
    from riad.engine.doctor.examine import examine
    from riad.engine.doctor.findings import Level

    about = info(host)
    folder = (data_root or Path((about or {}).get("DockerRootDir") or _ENGINE)).absolute()
    findings = [*examine(folder), *_running(about, host, folder)]
    if as_json:
        _print_json(findings)
    else:
        _print(findings)
    sys.exit(1 if any(finding.level is Level.PROBLEM for finding in findings) else 0)


def _running(about: dict[str, object] | None, host: str, folder: Path) -> list[Finding]:
    from riad.engine.doctor import disk
    from riad.engine.doctor.findings import good, note, warning

    if about is None:
        return [disk.lock(folder), note("engine", f"none answers at {host}", "start it with `riad engine`")]
    told = about.get("Warnings")
    found = [warning("engine", str(text), "see docs") for text in (told if isinstance(told, list) else [])]
    found = [replace(finding, advice="the engine told this when it started") for finding in found]
    running = about.get("ContainersRunning")
    return [disk.lock(folder), good("engine", f"answers at {host}; {running} containers run"), *found]


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        level = click.style(f"{finding.level.value:8}", fg=_COLOURS[finding.level.value])
        click.echo(f"{level} {finding.what}: {finding.found}")
        if finding.advice:
            click.echo(f"         → {finding.advice}")


def _print_json(findings: list[Finding]) -> None:
    from riad.cli.main import print_json

    rows = [{"what": f.what, "level": f.level.value, "found": f.found, "advice": f.advice} for f in findings]
    print_json({"findings": rows})
