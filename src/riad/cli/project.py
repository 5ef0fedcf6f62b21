"""`riad project`: create, list, show and delete projects."""

from __future__ import annotations

import urllib.parse
from typing import Any

import click

from riad.cli.api import Api, connect, project_path
from riad.cli.main import print_json
from riad.kernel.faults import Fault, Kind, invalid


@click.group()
def project() -> None:
    """Create, list, show and delete projects."""


@project.command()
@click.argument("path", metavar="GROUP/NAME")
@click.option(
    "--visibility", type=click.Choice(["private", "internal", "public"]), default="private", show_default=True
)
@click.option("--description", default="")
@click.option("--json", "as_json", is_flag=True)
def create(path: str, *, visibility: str, description: str, as_json: bool) -> None:
    """Create the project GROUP/NAME, and its group where there is none yet."""
    group, slash, name = path.partition("/")
    if not slash or not group or not name:
        raise invalid(f'"{path}" is not GROUP/NAME (for example demo/flask-hello)')
    api = connect()
    namespace = _group(api, group)
    wanted = {"name": name, "path": name, "namespace_id": namespace["id"], "visibility": visibility}
    made = api.post("/api/v4/projects", {**wanted, "description": description})
    if as_json:
        print_json(made)
        return
    click.echo(f"Created {made['path_with_namespace']}: {made['web_url']}")
    click.echo(f"  git remote add origin {made['http_url_to_repo']}")
    click.echo("  git push --set-upstream origin main")


def _group(api: Api, path: str) -> Any:
    try:
        return api.get(f"/api/v4/groups/{urllib.parse.quote(path, safe='')}")
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
    return api.post("/api/v4/groups", {"name": path, "path": path})


@project.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_projects(*, as_json: bool) -> None:
    """List the projects you may see."""
    found = list(connect().all("/api/v4/projects"))
    if as_json:
        print_json(found)
        return
    for entry in found:
        click.echo(f"{entry['path_with_namespace']:40} {entry['visibility']:10} {entry['web_url']}")


@project.command()
@click.argument("path", metavar="GROUP/NAME")
@click.option("--json", "as_json", is_flag=True)
def show(path: str, *, as_json: bool) -> None:
    """Show one project."""
    found = connect().get(project_path(path))
    if as_json:
        print_json(found)
        return
    for key in ("path_with_namespace", "visibility", "default_branch", "web_url", "http_url_to_repo"):
        click.echo(f"{key:22} {found.get(key) or '-'}")


@project.command()
@click.argument("path", metavar="GROUP/NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(path: str, *, yes: bool) -> None:
    """Delete a project with its repository, pipelines and images."""
    if not yes:
        click.confirm(f"Delete {path} with everything in it?", abort=True)
    connect().delete(project_path(path))
    click.echo(f"Deleted {path}")
