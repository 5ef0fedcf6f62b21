"""`riad releases` and `riad rollback`: what was in service, and putting it back."""

from __future__ import annotations

import time
from typing import Any

import click

from riad.cli.api import Api, connect
from riad.cli.main import print_json
from riad.kernel.faults import conflict, unavailable

ROLLED_BACK_WITHIN = 180.0


@click.command()
@click.argument("project", metavar="GROUP/NAME")
@click.option("--environment", help="Only those of this environment.")
@click.option("--json", "as_json", is_flag=True)
def releases(project: str, *, environment: str | None, as_json: bool) -> None:
    """List what was released to a project's environments, newest first."""
    found = releases_of(connect(), project, environment)
    if as_json:
        print_json(found)
        return
    for entry in found:
        click.echo(
            f"{entry['number']:>5}  {entry['environment']:14} {entry['state']:12} {entry['kind']:9} "
            f"{(entry['sha'] or '')[:8]}  {entry['image']}"
        )


@click.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("release", metavar="[RELEASE]", type=int, required=False)
@click.option("--environment", help="Which environment, where the project has several.")
@click.option("--json", "as_json", is_flag=True)
def rollback(project: str, release: int | None, *, environment: str | None, as_json: bool) -> None:
    """Put RELEASE (by default the one before the live one) back in service, health-checked like any roll-out."""
    api = connect()
    began = time.monotonic()
    body = {"release": release, "environment": environment}
    made = api.post(_path(project, "rollback"), {key: value for key, value in body.items() if value is not None})
    done = _wait(api, project, made)
    took = time.monotonic() - began
    if as_json:
        print_json({**done, "seconds": round(took, 2)})
    else:
        click.echo(f"{project} {done['environment']} is back on {done['image']} at {done['url']} ({took:.1f} s)")


def releases_of(api: Api, project: str, environment: str | None = None) -> list[Any]:
    return list(api.get(_path(project, "releases"), environment=environment))


def _path(project: str, rest: str) -> str:
    from urllib.parse import quote

    return f"/api/riad/v1/projects/{quote(project, safe='')}/{rest}"


def _wait(api: Api, project: str, made: Any) -> Any:
    deadline = time.monotonic() + ROLLED_BACK_WITHIN
    while time.monotonic() < deadline:
        found = [entry for entry in releases_of(api, project, made["environment"]) if entry["number"] == made["number"]]
        if found and found[0]["state"] == "live":
            return found[0]
        if found and found[0]["state"] == "failed":
            raise conflict(f"the roll-back failed, what was live still is: {found[0]['reason']}")
        time.sleep(0.05)
    raise unavailable(f"the roll-back of {project} has not ended after {ROLLED_BACK_WITHIN:g} s; it goes on")
