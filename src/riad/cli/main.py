"""The `riad` command: a table of subcommands, each imported only when it is used."""

from __future__ import annotations

import sys
from typing import Any

import click

from riad import __version__
from riad.cli.lazy import LazyGroup

COMMANDS = {
    "up": ("riad.cli.up:up", "Start Riad on this machine and wait until it answers."),
    "down": ("riad.cli.down:down", "Stop everything that `riad up` started."),
    "status": ("riad.cli.status:status", "Show what runs, since when and with how much memory."),
    "open": ("riad.cli.open:open_page", "Print (and open) the web address of Riad or of a project."),
    "project": ("riad.cli.project:project", "Create, list, show and delete projects."),
    "pipeline": ("riad.cli.pipeline:pipeline", "List, watch, retry and cancel pipelines; read job logs."),
    "releases": ("riad.cli.rollback:releases", "List what was released to a project's environments."),
    "rollback": ("riad.cli.rollback:rollback", "Put an earlier release of a project back in service."),
    "token": ("riad.cli.token:token", "Create, list and revoke access tokens."),
    "build": ("riad.cli.build:build", "Build an image from a Dockerfile on the engine, without a docker client."),
    "base": ("riad.cli.base:base", "Make base images from the distribution's package mirror."),
    "engine": ("riad.cli.engine.group:engine", "Run the container engine alone (speaks the Docker Engine API)."),
    "docker": ("riad.cli.docker.group:docker", "The docker command on Riad's engine, with what Docker cannot do."),
    "server": ("riad.cli.server:server", "Run the server alone (forge, registry, pipelines, web)."),
}


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="riad")
def riad() -> None:
    """The whole DevOps loop on one machine: git push → tests → image → deploy → roll back."""


def main(arguments: list[str] | None = None) -> None:
    """The entry point: a fault becomes one line on stderr and exit code 1, never a traceback."""
    from riad.kernel.faults import Fault

    try:
        riad.main(args=arguments, prog_name="riad", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        click.echo("riad: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Fault as fault:
        click.echo(f"riad: {fault.message}", err=True)
        sys.exit(1)
    except OSError as error:
        from riad.kernel.disk import refusal

        if (refused := refusal(error)) is None:
            raise
        click.echo(f"riad: {refused.message}", err=True)
        sys.exit(1)


def print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2, default=str))


if __name__ == "__main__":
    main()
