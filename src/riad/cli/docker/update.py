"""`riad docker update --publish 8081:80 --mount … --env … CONTAINER`: what Docker changes only by a new container.

Ports change at once, connections go on. Mounts and variables need a restart of what runs; the container keeps its id,
name, writable layer and networks. Flags that Docker's own update knows may stand beside ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from riad.cli.docker.mountflag import read_mount
from riad.cli.docker.portflag import read_publish
from riad.cli.docker.stock import call_stock

HELP = """\
Usage: riad docker update [OPTIONS] CONTAINER [CONTAINER...]

  -p, --publish [IP:][HOST:]PORT[/PROTO]   Publish a port, at once
      --publish-rm [IP:]HOST[/PROTO]       Publish a port of the host no longer
      --mount type=…,source=…,target=…     Mount something more (restarts the container if it runs)
  -v, --volume SOURCE:TARGET[:OPTIONS]     The same, in short
      --mount-rm TARGET                    Mount something no longer
  -e, --env NAME=VALUE                     Set a variable
      --env-rm NAME                        Take a variable away
  -t, --time SECONDS                       How long a container may take to stop

Docker's own flags (--memory, --cpus, --restart, …) go to docker update.
"""

_OURS = {
    "--publish": "publish",
    "-p": "publish",
    "--publish-rm": "publish_rm",
    "--mount": "mount",
    "--volume": "volume",
    "-v": "volume",
    "--mount-rm": "mount_rm",
    "--env": "env",
    "-e": "env",
    "--env-rm": "env_rm",
    "--time": "time",
    "-t": "time",
}


@dataclass(slots=True)
class Asked:
    """`stock`: what goes to docker's own update, without the names."""

    values: dict[str, list[str]] = field(default_factory=dict)
    stock: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def of(self, name: str) -> list[str]:
        return self.values.get(name, [])


def update(host: str, arguments: Sequence[str]) -> bool:
    """False where nothing of ours is asked for."""
    if any(argument in ("--help", "-h") for argument in arguments):
        click.echo(HELP)
        return True
    asked = parse(arguments)
    if not asked.values:
        return False
    if not asked.names:
        raise click.UsageError("name at least one container (riad docker update --help)")
    ports, remaking = port_changes(asked), recreation(asked)
    for name in asked.names:
        _change(host, name, ports, remaking)
    if asked.stock:
        call_stock(host, ["update", *asked.stock, *asked.names])
    else:
        click.echo("\n".join(asked.names))
    return True


def _change(host: str, name: str, ports: dict[str, Any], remaking: dict[str, Any]) -> None:
    from urllib.parse import quote

    from riad.cli.engine.asking import ask

    at = f"/riad/containers/{quote(name, safe='')}"
    if ports:
        ask(host, "POST", f"{at}/ports", document=ports, versioned=False)
    if remaking:
        ask(host, "POST", f"{at}/recreate", document=remaking, versioned=False)


def parse(arguments: Sequence[str]) -> Asked:
    """All flags, ours and docker's, take a value."""
    asked = Asked()
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            asked.names += left
            break
        if not word.startswith("-") or word == "-":
            asked.names.append(word)
            continue
        flag, equals, value = word.partition("=")
        if flag not in _OURS and not flag.startswith("--") and flag[:2] in _OURS:
            flag, equals, value = word[:2], "=", word[2:]  # -p8080:80
        if not equals:
            if not left:
                raise click.UsageError(f"{flag} needs a value")
            value = left.pop(0)
        if flag in _OURS:
            asked.values.setdefault(_OURS[flag], []).append(value)
        else:
            asked.stock += [flag, value]
    return asked


def port_changes(asked: Asked) -> dict[str, Any]:
    """The body of `/riad/containers/{id}/ports`; empty where no port changes."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for text in asked.of("publish"):
        for port, binding in read_publish(text):
            bindings.setdefault(port, []).append(binding)
    body = {"PortBindings": bindings, "Remove": asked.of("publish_rm")}
    return body if any(body.values()) else {}


def recreation(asked: Asked) -> dict[str, Any]:
    """The body of `/riad/containers/{id}/recreate`; empty where nothing of it changes."""
    for name in asked.of("env_rm"):
        if "=" in name:
            raise click.UsageError(f"--env-rm {name}: name the variable alone")
    for text in asked.of("env"):
        if "=" not in text:
            raise click.UsageError(f"--env {text}: expected NAME=VALUE; --env-rm takes a variable away")
    body: dict[str, Any] = {
        "Env": [*asked.of("env"), *asked.of("env_rm")],
        "Binds": asked.of("volume"),
        "Mounts": [read_mount(text) for text in asked.of("mount")],
        "RemoveMounts": asked.of("mount_rm"),
    }
    if not any(body.values()):
        return {}
    if times := asked.of("time"):
        if not times[-1].isdecimal():
            raise click.UsageError(f"--time {times[-1]}: expected seconds")
        body["Timeout"] = int(times[-1])
    return body
