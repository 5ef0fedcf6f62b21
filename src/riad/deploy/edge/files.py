"""The edge's files from what the database knows: what a HAProxy that is started again comes up with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from riad.deploy import container, environments, releases
from riad.deploy.edge.config import EdgeSettings, edge_files
from riad.deploy.edge.port import Route, Upstream


def files_of(session: Session, settings: EdgeSettings) -> dict[str, str]:
    """Every file of the edge's folder by name: configuration, map of hosts, pages."""
    return edge_files(settings, routes(session, settings.domain))


def routes(session: Session, domain: str) -> Mapping[Route, Upstream | None]:
    """Each service that has a live release, and where it answers (None while that is unknown)."""
    found: dict[Route, Upstream | None] = {}
    for environment in environments.at_the_edge(session):
        route, live = container.route(environment, domain), releases.live(session, environment.id)
        if route is not None and live is not None:
            found[route] = container.upstream(live) if live.address is not None else None
    return found


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Each file at once or not at all; the configuration last, since its existence says that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name.endswith(".cfg")):
        target = folder / name
        if target.exists() and target.read_text() == files[name]:
            continue
        part = folder / f".{name}.part"
        part.write_text(files[name])
        os.replace(part, target)
