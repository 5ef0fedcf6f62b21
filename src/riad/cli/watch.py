"""Follows a pipeline: on a terminal a live table of jobs (state, time, last log line), elsewhere a line a change."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from riad.cli.api import Api, project_path
from riad.cli.pipeline import jobs_of
from riad.kernel.faults import Fault, Kind, not_found, unavailable

EVERY = 0.25
ENDED = {"success", "failed", "canceled", "skipped", "manual"}
MARKS = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "running": ("●", "blue"),
    "pending": ("◌", "yellow"),
    "created": ("·", "dim"),
    "skipped": ("»", "dim"),
    "manual": ("▸", "cyan"),
    "canceled": ("⊘", "dim"),
}
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|section_(?:start|end):\d+:[\w.-]+(?:\[[^\]]*\])?\r?|[\x00-\x08\x0b-\x1f]"
)


@dataclass(slots=True)
class _Tail:
    """The last line that a job's log shows, read onwards from where the last look ended."""

    offset: int = 0
    last: str = ""
    seen: bytes = field(default=b"", repr=False)

    def read(self, api: Api, project: str, job: int) -> None:
        new = api.text(f"{project_path(project)}/jobs/{job}/trace", start=self.offset)
        self.offset += len(new)
        self.seen = (self.seen + new)[-4096:]
        lines = [_CONTROL.sub("", line).strip() for line in self.seen.decode(errors="replace").splitlines()]
        self.last = next((line for line in reversed(lines) if line), "")


def follow(api: Api, project: str, *, number: int | None = None, sha: str | None = None, timeout: float = 3600) -> str:
    """Watches until the pipeline has ended and returns its status.

    Raises NOT_FOUND where there is no such pipeline (with `sha`, waits 30 s for it), UNAVAILABLE after `timeout` s.
    """
    deadline = time.monotonic() + timeout
    chosen = number if number is not None else _find(api, project, sha)
    console = Console(file=sys.stdout, highlight=False)
    view: _LiveView | _LineView = _LiveView(console) if console.is_terminal else _LineView(console)
    tails: dict[int, _Tail] = {}
    with view:
        while time.monotonic() < deadline:
            found, jobs = _look(api, project, chosen, tails)
            view.show(found, jobs, {job: tail.last for job, tail in tails.items()})
            if found["status"] in ENDED:
                return str(found["status"])
            time.sleep(EVERY)
    raise unavailable(f"pipeline {chosen} of {project} has not ended after {timeout:g} s; it goes on")


def _look(api: Api, project: str, number: int, tails: dict[int, _Tail]) -> tuple[Any, list[Any]]:
    """One look; a server that is just being restarted is waited for."""
    for attempt in range(120):
        try:
            found = api.get(f"{project_path(project)}/pipelines/{number}")
            jobs = jobs_of(api, project, number)
            for job in jobs:
                if job["status"] in ("running", "failed"):
                    tails.setdefault(job["id"], _Tail()).read(api, project, job["id"])
            return found, jobs
        except Fault as fault:
            if fault.kind is not Kind.UNAVAILABLE or attempt == 119:
                raise
            time.sleep(EVERY)
    raise AssertionError


def _find(api: Api, project: str, sha: str | None) -> int:
    deadline = time.monotonic() + (30 if sha else 0)
    while True:
        found = api.get(f"{project_path(project)}/pipelines", sha=sha, per_page=1)
        if found:
            return int(found[0]["id"])
        if time.monotonic() >= deadline:
            what = f"pipeline of commit {sha[:8]}" if sha else "pipeline"
            raise not_found(f"{project} has no {what}; does the commit hold a .gitlab-ci.yml?")
        time.sleep(EVERY)


class _LineView:
    """One line for every change of a job's state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[int, str] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, pipeline: Any, jobs: list[Any], last_lines: dict[int, str]) -> None:
        if not self._states and pipeline.get("yaml_errors"):
            self._console.print(pipeline["yaml_errors"], markup=False)
        for job in jobs:
            if self._states.get(job["id"]) == job["status"]:
                continue
            self._states[job["id"]] = job["status"]
            said = f"  {last_lines.get(job['id'], '')}" if job["status"] == "failed" else ""
            self._console.print(f"  {job['stage']}/{job['name']}: {job['status']}{_took(job)}{said}", markup=False)


class _LiveView:
    """A table redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, pipeline: Any, jobs: list[Any], last_lines: dict[int, str]) -> None:
        table = Table.grid(padding=(0, 2))
        for _ in range(4):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for job in jobs:
            mark, style = MARKS.get(job["status"], ("?", ""))
            last = last_lines.get(job["id"], "") if job["status"] in ("running", "failed") else ""
            table.add_row(
                Text(f"  {mark} {job['stage']}", style=style),
                Text(job["name"]),
                Text(job["status"], style=style),
                Text(_took(job).strip(" ()")),
                Text(last, style="dim"),
            )
        if pipeline.get("yaml_errors"):
            table.add_row(Text("  ✗", style="red"), Text(str(pipeline["yaml_errors"]), style="red"))
        self._live.update(table)


def _took(job: Any) -> str:
    return f" ({job['duration']:.1f} s)" if job.get("duration") else ""
