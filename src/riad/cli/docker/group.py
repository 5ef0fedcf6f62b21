"""`riad docker …`: hands everything to the stock docker command but what is in the table of verbs of our own.

A verb of ours is called only where one of its own flags is there; `riad docker update --memory 1g web` is Docker's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import click

from riad.cli.docker.stock import engine_host, run_stock

Verb = Callable[[str, Sequence[str]], bool]
"""Given the engine's host and the arguments after the verb: False where they hold nothing of ours."""

VERBS = {
    "logs": ("riad.cli.docker.logs:logs", "Also clear logs: --clear NAME."),
    "update": (
        "riad.cli.docker.update:update",
        "Also publish ports, mount and set variables: of containers that exist.",
    ),
}
_HELP = ("--help", "-h", "help")


@click.command(
    "docker",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def docker(arguments: tuple[str, ...]) -> None:
    """Run the stock docker command against Riad's engine."""
    host = engine_host()
    verb = arguments[1:] if arguments[:1] == ("container",) else arguments
    if verb and verb[0] in VERBS and _find(verb[0])(host, verb[1:]):
        return
    if not arguments or arguments[0] in _HELP:
        click.echo("Besides all that docker does, riad docker knows:")
        for name, (_, line) in VERBS.items():
            click.echo(f"  {name:10} {line} (riad docker {name} --help)")
        click.echo()
    run_stock(host, arguments)


def _find(name: str) -> Verb:
    module, attribute = VERBS[name][0].split(":")
    found: Verb = getattr(importlib.import_module(module), attribute)
    return found
