"""`riad up`: start the supervisor, wait until Riad answers, say where."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import click

from riad.cli import home as homes
from riad.cli.home import Home
from riad.cli.main import print_json
from riad.cli.ports import require_free
from riad.cli.supervisor import process_of, read_supervision
from riad.kernel.faults import Fault, Kind, conflict, denied, unavailable

READY_WITHIN = 60.0


@click.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground; Ctrl-C stops everything.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def up(*, foreground: bool, as_json: bool) -> None:
    """Start Riad on this machine: engine, server and edge on one port (RIAD_PORT, 8080)."""
    home = homes.of()
    began = time.monotonic()
    already = running_port(home)
    if already is None:
        _require_startable(home)
        if foreground:
            os.execv(sys.executable, [sys.executable, "-m", "riad.cli.supervise"])  # noqa: S606
        _spawn_supervisor(home)
    elif already != home.port:
        raise conflict(f"Riad of {home.root} already runs on port {already}; `riad down` first to move it")
    wait_until_ready(home)
    took = time.monotonic() - began
    if as_json:
        print_json(
            {
                "url": home.external_url,
                "started": already is None,
                "seconds": round(took, 2),
                "initial_password": one_time_password(home),
            }
        )
        return
    click.echo(f"Riad is {'already ' if already else ''}up at {home.external_url} ({took:.1f} s)")
    if password := one_time_password(home):
        click.echo(f"Sign in as root with the one-time password {password}")


def running_port(home: Home) -> int | None:
    """The port of the Riad that is running from this home; None where none is."""
    found = read_supervision(home.supervision)
    if found is None or not process_of(found["supervisor"]).alive():
        return None
    return int(found["port"])


def one_time_password(home: Home) -> str | None:
    try:
        return home.initial_password.read_text().strip()
    except OSError:
        return None


def _require_startable(home: Home) -> None:
    if os.geteuid() != 0:
        raise denied("starting the container engine needs root: sudo -E riad up")
    left = (read_supervision(home.supervision) or {}).get("parts", {})
    if not ("edge" in left and process_of(left["edge"]).alive()):
        require_free(home.port)


def _spawn_supervisor(home: Home) -> None:
    for folder in (home.root, home.run, home.logs):
        folder.mkdir(parents=True, exist_ok=True)
    with (home.logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "riad.cli.supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def wait_until_ready(home: Home) -> None:
    """Returns once the server and the engine behind the edge answer.

    Raises UNAVAILABLE with the last lines of the log of the part that keeps dying, or after READY_WITHIN seconds.
    """
    deadline = time.monotonic() + READY_WITHIN
    reason = "nothing answers yet"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{home.port}/-/readiness", timeout=5):
                return
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")[:300]
        except OSError as error:
            reason = str(error)
        _require_parts_alive(home)
        time.sleep(0.03)
    raise unavailable(f"Riad did not become ready within {READY_WITHIN:g} s: {reason}; see the logs in {home.logs}")


def _require_parts_alive(home: Home) -> None:
    for name, part in (read_supervision(home.supervision) or {}).get("parts", {}).items():
        if part["restarts"] >= 3:
            log = home.logs / f"{name}.log"
            raise Fault(Kind.UNAVAILABLE, f"the {name} does not stay up; the end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    try:
        return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-8:])
    except OSError:
        return "  (no log)"
