"""`--link`: names of other containers in /etc/hosts and, on the default bridge, what they expose in the environment."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from riad.kernel.faults import invalid

_PRIVATE = ("HOME", "PATH")


@dataclass(frozen=True, slots=True)
class Link:
    """`target` is the name or id of a container, `alias` what the linking one calls it."""

    target: str
    alias: str


@dataclass(frozen=True, slots=True)
class Linked:
    """The other container as it runs now; `ports` such as "80/tcp"."""

    name: str
    hostname: str
    address: IPv4Address
    ports: tuple[str, ...]
    env: tuple[str, ...]


def parse_link(text: str) -> Link:
    """`NAME` or `NAME:ALIAS`, also as `inspect` shows it, `/name:/linking/alias`. Raises INVALID as Docker."""
    parts = text.split(":")
    if not text or len(parts) > 2 or not all(parts):
        raise invalid(f"bad format for links: {text}" if text else "empty string specified for links")
    target = parts[0].lstrip("/")
    return Link(target, posixpath.basename(parts[-1]) if len(parts) == 2 else target)


def host_line(link: Link, linked: Linked) -> str:
    """One line of /etc/hosts with every name the other one has."""
    names = dict.fromkeys(filter(None, [link.alias, linked.hostname, linked.name]))
    return f"{linked.address}\t{' '.join(names)}\n"


def environment(container: str, link: Link, linked: Linked) -> Iterator[str]:
    """ALIAS_PORT_80_TCP and the like (docs.docker.com, "Legacy container links").

    >>> db = Linked("db", "db", IPv4Address("172.17.0.2"), ("5432/tcp",), ("USER=me", "PATH=/bin"))
    >>> list(environment("web", Link("db", "db-1"), db))[-2:]
    ['DB_1_NAME=/web/db-1', 'DB_1_ENV_USER=me']
    """
    prefix = link.alias.upper().replace("-", "_")
    ports = sorted((int(number), proto or "tcp") for number, _, proto in (text.partition("/") for text in linked.ports))
    for position, (number, proto) in enumerate(ports):
        place = f"{proto}://{linked.address}:{number}"
        if position == 0:
            yield f"{prefix}_PORT={place}"
        name = f"{prefix}_PORT_{number}_{proto.upper()}"
        yield from (
            f"{name}={place}",
            f"{name}_ADDR={linked.address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={proto}",
        )
    yield f"{prefix}_NAME=/{container}/{link.alias}"
    for entry in linked.env:
        key, equals, value = entry.partition("=")
        if equals and key not in _PRIVATE:
            yield f"{prefix}_ENV_{key}={value}"


def shown(container: str, links: Mapping[str, str]) -> list[str]:
    """As `inspect` shows them; `links` maps aliases to the names of containers."""
    return [f"/{target}:/{container}/{alias}" for alias, target in links.items()]
