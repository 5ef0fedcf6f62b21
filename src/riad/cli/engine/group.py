"""`riad engine`: the container engine alone, with dockerd's own flag names.

Without a command it runs the daemon; the commands are imported only when they are used.
"""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from riad.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {}


@click.group("engine", cls=LazyGroup, table=COMMANDS, invoke_without_command=True)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/riad/engine"),
    show_default=True,
    help="Images, containers, volumes and state.",
)
@click.option(
    "--exec-root",
    type=click.Path(path_type=Path),
    default=Path("/run/riad/engine"),
    show_default=True,
    help="Sockets and runtime state; need not outlive a reboot.",
)
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    default=("unix:///run/riad/engine.sock",),
    show_default=True,
    help="Where to listen (unix:///PATH); may be given several times.",
)
@click.option(
    "-G", "--group", default="docker", show_default=True, help="Group that may use the sockets, if it exists."
)
@click.option("--registry-mirror", "mirrors", multiple=True, help="Mirror to ask before the registry; repeatable.")
@click.option(
    "--insecure-registry",
    "insecure",
    multiple=True,
    help="Registry (HOST[:PORT] or network) that may be spoken to without TLS; repeatable.",
)
@click.option("--bip", default="", help="Address and prefix of the default bridge, such as 172.20.0.1/24.")
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warn", "error", "fatal"]),
    default="info",
    show_default=True,
)
@click.option("-D", "--debug", is_flag=True, help="Same as --log-level debug.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def engine(
    ctx: click.Context,
    *,
    data_root: Path,
    exec_root: Path,
    hosts: tuple[str, ...],
    group: str,
    mirrors: tuple[str, ...],
    insecure: tuple[str, ...],
    bip: str,
    log_level: str,
    debug: bool,
    log_format: str,
) -> None:
    """Run the container engine alone (speaks the Docker Engine API)."""
    if ctx.invoked_subcommand is not None:
        _refuse_flags(ctx, ctx.invoked_subcommand)
        return
    from riad.base.recipes import suggestion
    from riad.engine.daemon import EngineConfig, run
    from riad.kernel import logs

    level = "debug" if debug else {"warn": "warning", "fatal": "critical"}.get(log_level, log_level)
    logs.configure(level=level, as_json=log_format == "json")
    config = EngineConfig(
        data_root=data_root.absolute(),
        exec_root=exec_root.absolute(),
        hosts=hosts,
        mirrors=mirrors,
        insecure=insecure,
        bip=bip,
        group=group,
    )
    run(config, suggest=suggestion)


def _refuse_flags(ctx: click.Context, command: str) -> None:
    for name in ctx.params:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            flag = next(parameter.opts[-1] for parameter in ctx.command.params if parameter.name == name)
            raise click.UsageError(f"{flag} belongs to the daemon; flags of `{command}` come after its name")
