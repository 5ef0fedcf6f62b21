"""`riad server`: the server alone."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="A TOML file (docs/server.example.toml shows all of it)."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="What must be kept. [/var/lib/riad/server]")
@click.option("--run-dir", type=click.Path(path_type=Path), help="Sockets. [DATA-DIR/run]")
@click.option("--listen", metavar="HOST:PORT|unix:PATH", help="Where to answer. [127.0.0.1:8080]")
@click.option("--external-url", help="The address users know; its HOST:PORT names the registry too. [http://LISTEN]")
@click.option("--domain", help="Services answer on NAME.DOMAIN. [the host of the external URL]")
@click.option("--database-url", help="SQLAlchemy's URL of a PostgreSQL. [SQLite in DATA-DIR]")
@click.option("--docker-host", help="A Docker Engine API: unix://PATH or tcp://HOST:PORT. [DOCKER_HOST]")
@click.option("--edge-socket", type=click.Path(path_type=Path), help="The edge's admin socket.")
@click.option("--jobs", type=int, help="How many pipeline jobs run at once. [2]")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[info]")
@click.option("--log-json", is_flag=True, default=None, help="Log lines as JSON.")
def server(config: Path | None, **flags: object) -> None:
    """Run the server alone: forge, registry, web and API; with --docker-host also pipelines and services.

    Every option can also stand in the configuration file or, as RIAD_OPTION_NAME, in the environment.
    RIAD_ROOT_PASSWORD and RIAD_ROOT_TOKEN preset the first administrator's credentials.
    """
    from riad.kernel import config as configuration
    from riad.server.config import ServerConfig, check
    from riad.server.serve import serve

    if flags["docker_host"] is None and "RIAD_DOCKER_HOST" not in os.environ:
        flags["docker_host"] = os.environ.get("DOCKER_HOST")
    serve(check(configuration.load(ServerConfig, file=config, environ=os.environ, flags=flags)))
