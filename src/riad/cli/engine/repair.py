"""`riad engine repair`: finds what nothing needs any more, and removes it when told to."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from riad.cli.engine.asking import DEFAULT_HOST, ask, info
from riad.kernel.faults import not_found


@click.command()
@click.option("--yes", is_flag=True, help="Remove what is found instead of listing it.")
@click.option("--volumes", is_flag=True, help="Also remove folders of volumes that the engine does not know.")
@click.option("-H", "--host", default=DEFAULT_HOST, show_default=True, help="Where the running engine listens.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), default=Path("/var/lib/riad/engine"), show_default=True,
    help="The data of an engine that does not run.",
)  # fmt: skip
@click.option(
    "--exec-root", type=click.Path(path_type=Path), default=Path("/run/riad/engine"), show_default=True,
    help="Its runtime state.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def repair(*, yes: bool, volumes: bool, host: str, data_root: Path, exec_root: Path, as_json: bool) -> None:
    """Find folders, layers, mounts, links, processes and the like that no container, image or network owns.

    Asks the running engine, or, where none answers, looks at the data root itself, which then must be nobody's.
    """
    if info(host) is not None:
        query = "?volumes=1" if volumes else ""
        found = ask(host, "POST" if yes else "GET", f"/riad/repair{query if yes else ''}", versioned=False)
    else:
        found = asyncio.run(_resting(data_root.absolute(), exec_root.absolute(), yes=yes, volumes=volumes))
    if as_json:
        from riad.cli.main import print_json

        print_json(found)
    else:
        _print(found, yes=yes)
    sys.exit(1 if found.get("complaints") else 0)


async def _resting(data_root: Path, exec_root: Path, *, yes: bool, volumes: bool) -> dict[str, Any]:
    from riad.engine.daemon import EngineConfig
    from riad.engine.dockerapi.repair import shape
    from riad.engine.repair import removing, search
    from riad.engine.repair.known import Places
    from riad.engine.state import State

    if not (data_root / "state.db").exists():
        raise not_found(f"no engine's data in {data_root}; name it by --data-root, or the running engine by --host")
    places = Places(data_root, exec_root, EngineConfig(data_root=data_root).instance)
    state = State(data_root)
    try:
        found = await search.of_resting(state.connection, places)
        if not yes:
            return {"orphans": [shape(each) for each in found]}
        gone, complaints = await removing.remove(found, volumes=volumes)
        return {"removed": [shape(each) for each in gone], "complaints": complaints}
    finally:
        state.close()


def _print(found: dict[str, Any], *, yes: bool) -> None:
    rows = found["removed" if yes else "orphans"]
    for row in rows:
        click.echo(f"{_human(row['size']):>9}  {row['kind']}  {row['name']}")
    for complaint in found.get("complaints", ()):
        click.echo(complaint, err=True)
    total = _human(sum(row["size"] for row in rows)) or "nothing on disk"
    if not rows:
        click.echo("nothing found" if not found.get("complaints") else "nothing removed")
    elif yes:
        click.echo(f"{len(rows)} removed, {total}")
    else:
        click.echo(f"{len(rows)} found, {total}; `riad engine repair --yes` removes them")


def _human(size: int) -> str:
    if not size:
        return ""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
