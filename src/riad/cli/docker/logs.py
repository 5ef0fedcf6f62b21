"""`riad docker logs --clear CONTAINER…`: drops what containers have logged until now; followers go on."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import click

HELP = """\
Usage: riad docker logs --clear CONTAINER [CONTAINER...]

Drops what the containers have logged until now, also while they run. Who follows a log goes on with what comes.
Without --clear: docker logs.
"""


def logs(host: str, arguments: Sequence[str]) -> bool:
    """False without `--clear`."""
    if "--clear" not in arguments:
        return False
    if any(argument in ("--help", "-h") for argument in arguments):
        click.echo(HELP)
        return True
    from riad.cli.engine.asking import ask

    names = [argument for argument in arguments if argument != "--clear"]
    for name in names:
        if name.startswith("-"):
            raise click.UsageError(f"{name} does not go with --clear (riad docker logs --clear --help)")
    if not names:
        raise click.UsageError("name at least one container (riad docker logs --clear --help)")
    for name in names:
        ask(host, "POST", f"/riad/containers/{quote(name, safe='')}/logs/clear", versioned=False)
        click.echo(name)
    return True
