"""`riad engine certs`: what `--tlsverify` needs, for sites without an authority of their own."""

from __future__ import annotations

import socket
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host", "hosts", multiple=True, help="Name or address that clients use; repeatable. [default: own name]"
)
@click.option("--days", type=click.IntRange(1, 36500), default=825, show_default=True, help="How long they are good.")
def certs(folder: Path, *, hosts: tuple[str, ...], days: int) -> None:
    """Make an authority, a server's and a client's certificate in FOLDER."""
    from riad.engine.access.certs import make

    names = [*(hosts or (socket.gethostname(),)), "localhost", "127.0.0.1"]
    make(folder, list(dict.fromkeys(names)), days=days)
    click.echo(
        f"server: riad engine -H tcp://0.0.0.0:2376 --tlsverify --tlscacert {folder / 'ca.pem'} "
        f"--tlscert {folder / 'server-cert.pem'} --tlskey {folder / 'server-key.pem'}\n"
        f"client: docker -H tcp://{names[0]}:2376 --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem\n"
        f"Clients need ca.pem, cert.pem and key.pem. Keep ca-key.pem apart: it makes more certificates."
    )
