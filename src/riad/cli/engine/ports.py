"""`riad engine ports`: what is published, and who can reach it past the host's own firewall."""

from __future__ import annotations

from typing import Any

import click

_COLUMNS = ("CONTAINER", "PORT", "PUBLISHED ON", "REACHED BY", "BECAUSE")


@click.command()
@click.option("-H", "--host", default=None, help="Where the engine listens. [default: DOCKER_HOST, or Riad's engine]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def ports(*, host: str | None, as_json: bool) -> None:
    """Show every published port and who can reach it: this host, the local network, everyone.

    The host's nftables rules are taken into account. "probably" marks what they leave open: rates, marks, iptables
    matches that nft cannot show. Routers and firewalls beyond this host are not known here.
    """
    from riad.cli.docker.stock import engine_host
    from riad.cli.engine.asking import ask
    from riad.cli.main import print_json

    found: list[dict[str, Any]] = ask(host or engine_host(), "GET", "/riad/ports", versioned=False)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no container publishes a port")
        return
    rows = [_COLUMNS, *sorted(map(row, found))]
    widths = [max(len(line[column]) for line in rows) for column in range(len(_COLUMNS))]
    for line in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def row(port: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    host = f"[{port['HostIp']}]" if ":" in port["HostIp"] else port["HostIp"]
    where = f"{host}:{port['HostPort']}" if port["HostPort"] else "its own address"
    who = port["Reach"] if port["Certain"] else f"probably {port['Reach']}"
    return port["Name"], f"{port['PrivatePort']}/{port['Type']}", where, who, port["Because"]
