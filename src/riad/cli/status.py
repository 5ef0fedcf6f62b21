"""`riad status`: what runs, since when, how often it was restarted, how much memory it takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from riad.cli import home as homes
from riad.cli.home import Home
from riad.cli.main import print_json
from riad.cli.memory import proportional_set_size, with_descendants
from riad.cli.supervisor import process_of, read_supervision


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status(*, as_json: bool) -> None:
    """Show what runs, since when and with how much memory (proportional set size)."""
    home = homes.of()
    found = describe(home)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found["running"]:
        raise click.exceptions.Exit(3)


def describe(home: Home) -> dict[str, Any]:
    """{"running", "url", "home", "memory_bytes", "parts": [{"name", "state", "pid", "seconds", "restarts", …}]}."""
    found = read_supervision(home.supervision) or {}
    entries = {"supervisor": found["supervisor"], **found["parts"]} if found else {}
    parts = [_part(name, entry) for name, entry in entries.items()]
    return {
        "running": bool(parts) and all(part["state"] == "running" for part in parts),
        "url": found.get("url", home.external_url),
        "home": str(home.root),
        "memory_bytes": sum(part["memory_bytes"] for part in parts),
        "parts": parts,
    }


def _part(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    process = process_of(entry)
    alive = process.alive()
    # The supervisor is the parent of the others: only its own memory counts for it.
    pids = [] if not alive else [process.pid] if name == "supervisor" else with_descendants(process.pid)
    return {
        "name": name,
        "state": "running" if alive else "stopped",
        "pid": process.pid if alive else None,
        "seconds": round(_age(process.start_time), 1) if alive else None,
        "restarts": entry.get("restarts", 0),
        "memory_bytes": sum(map(proportional_set_size, pids)),
    }


def _age(start_ticks: int) -> float:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, uptime - start_ticks / os.sysconf("SC_CLK_TCK"))


def _show(found: dict[str, Any]) -> None:
    if not found["parts"]:
        click.echo(f"Riad is not running (home {found['home']}); start it with `riad up`")
        return
    click.echo(f"{found['url']}   home {found['home']}\n")
    click.echo(f"{'PART':12}{'STATE':10}{'PID':>8}{'UP':>12}{'RESTARTS':>10}{'MEMORY':>12}")
    for part in found["parts"]:
        up = _duration(part["seconds"]) if part["seconds"] is not None else "-"
        memory = f"{part['memory_bytes'] / 1e6:.1f} MB"
        click.echo(
            f"{part['name']:12}{part['state']:10}{part['pid'] or '-':>8}{up:>12}{part['restarts']:>10}{memory:>12}"
        )
    click.echo(f"\n{'together':52}{found['memory_bytes'] / 1e6:9.1f} MB")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    shown = [f"{value}{unit}" for value, unit in parts if value]
    return " ".join(shown[:2]) or "0s"
