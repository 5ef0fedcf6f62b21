"""`riad pipeline`: list, show, watch, retry and cancel pipelines; read job logs."""

from __future__ import annotations

import sys
from typing import Any

import click

from riad.cli.api import Api, connect, project_path
from riad.cli.main import print_json


@click.group()
def pipeline() -> None:
    """List, watch, retry and cancel pipelines; read job logs."""


@pipeline.command("list")
@click.argument("project", metavar="GROUP/NAME")
@click.option("--ref", help="Only those of this branch or tag.")
@click.option("--json", "as_json", is_flag=True)
def list_pipelines(project: str, *, ref: str | None, as_json: bool) -> None:
    """List the pipelines of a project, newest first."""
    found = connect().get(f"{project_path(project)}/pipelines", ref=ref, per_page=20)
    if as_json:
        print_json(found)
        return
    for entry in found:
        click.echo(
            f"{entry['id']:>6}  {entry['status']:10} {entry['ref']:20} {entry['sha'][:8]}  {entry['created_at']}"
        )


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True)
def show(project: str, number: int, *, as_json: bool) -> None:
    """Show one pipeline and its jobs."""
    api = connect()
    found = api.get(f"{project_path(project)}/pipelines/{number}")
    jobs = jobs_of(api, project, number)
    if as_json:
        print_json({**found, "jobs": jobs})
        return
    click.echo(f"Pipeline {number} {found['status']} {found['ref']} {found['sha'][:8]}")
    if found.get("yaml_errors"):
        click.echo(found["yaml_errors"])
    for job in jobs:
        seconds = f"{job['duration']:.1f} s" if job.get("duration") else ""
        reason = f"  ({job['failure_reason']})" if job.get("failure_reason") else ""
        click.echo(f"{job['id']:>6}  {job['stage']:12} {job['name']:24} {job['status']:10} {seconds}{reason}")


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("number", type=int, required=False)
@click.option("--sha", help="The pipeline of this commit (waits until it is there).")
@click.option("--timeout", type=float, default=3600, show_default=True, help="Seconds.")
def watch(project: str, number: int | None, *, sha: str | None, timeout: float) -> None:
    """Show a pipeline's jobs live until it ends (the newest one by default); exits with 1 where it failed."""
    from riad.cli.watch import follow

    api = connect()
    status = follow(api, project, number=number, sha=sha, timeout=timeout)
    if status != "success":
        sys.exit(1)


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("job", metavar="JOB-NUMBER", type=int)
def log(project: str, job: int) -> None:
    """Print the log of a job."""
    sys.stdout.buffer.write(connect().text(f"{project_path(project)}/jobs/{job}/trace"))


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("number", type=int)
def retry(project: str, number: int) -> None:
    """Run the failed and cancelled jobs of a pipeline again."""
    done = connect().post(f"{project_path(project)}/pipelines/{number}/retry")
    click.echo(f"Pipeline {number} {done['status']}")


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.argument("number", type=int)
def cancel(project: str, number: int) -> None:
    """Cancel a pipeline's jobs that have not ended."""
    done = connect().post(f"{project_path(project)}/pipelines/{number}/cancel")
    click.echo(f"Pipeline {number} {done['status']}")


@pipeline.command()
@click.argument("project", metavar="GROUP/NAME")
@click.option("--ref", default="main", show_default=True, help="Branch or tag.")
@click.option("--variable", "variables", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--json", "as_json", is_flag=True)
def run(project: str, *, ref: str, variables: tuple[str, ...], as_json: bool) -> None:
    """Start a pipeline on a branch or tag."""
    wrong = [text for text in variables if "=" not in text]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint="--variable")
    pairs = [dict(zip(("key", "value"), text.split("=", 1), strict=True)) for text in variables]
    made = connect().post(f"{project_path(project)}/pipeline", {"ref": ref, "variables": pairs})
    if as_json:
        print_json(made)
    else:
        click.echo(f"Pipeline {made['id']} {made['status']}: {made['web_url']}")


def jobs_of(api: Api, project: str, number: int) -> list[Any]:
    """The jobs of a pipeline, in the order of their stages."""
    found = api.get(f"{project_path(project)}/pipelines/{number}/jobs", per_page=100)
    return sorted(found, key=lambda job: int(job["id"]))
