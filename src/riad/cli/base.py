"""`riad base`: base images from the distribution's package mirror, for sites where no registry is reachable."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from riad.base.build import Ingredients, Kept
    from riad.base.recipes import Recipe
    from riad.dockerclient.client import DockerClient
    from riad.oci.reference import Reference

Tell = Callable[[str, str], None]
"""Name of the image, what is being done about it."""


@click.group()
def base() -> None:
    """Make base images from the distribution's package mirror."""


@base.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[:TAG]...")
@click.option("--refresh", is_flag=True, help="Make it anew, with the packages of today, even where one is kept.")
@click.option("--host", help="The engine to hand it to: unix://PATH or tcp://HOST:PORT. [DOCKER_HOST]")
@click.option("--keep-only", is_flag=True, help="Only make and keep it; hand it to no engine.")
@click.option("--json", "as_json", is_flag=True)
def build(names: tuple[str, ...], *, refresh: bool, host: str | None, keep_only: bool, as_json: bool) -> None:
    """Make NAME (python:3.11, debian:bookworm, postgres:15, redis:7, docker:cli, …) and load it into the engine.

    What was made is kept and used again. `riad base list` shows which names can be made on this host.
    """
    from riad.base import host as here
    from riad.base.build import ingredients
    from riad.base.recipes import find
    from riad.oci.reference import parse_reference

    wanted = []
    for name in names:
        reference = parse_reference(name).with_default_tag()
        wanted.append((reference, ingredients(find(reference, *here.distribution()))))
    engine = None if keep_only else host or _engine()
    with _progress(quiet=as_json) as tell:
        done = asyncio.run(_build_all(wanted, engine, tell, refresh=refresh))
    _show(done, as_json=as_json)


@base.command()
@click.argument("names", nargs=-1, metavar="[NAME[:TAG]]...")
@click.option("--host", help="The engine to hand it to: unix://PATH or tcp://HOST:PORT. [DOCKER_HOST]")
@click.option("--keep-only", is_flag=True, help="Only make and keep it; hand it to no engine.")
@click.option("--check", is_flag=True, help="Only tell what is newer; end with 1 where something is.")
def update(names: tuple[str, ...], *, host: str | None, keep_only: bool, check: bool) -> None:
    """Make kept base images anew whose packages the mirror has newer: all, or NAME.

    An image with nothing newer is not touched: its digest stays, and with it every layer built on it.
    """
    from riad.base import host as here
    from riad.base.build import ingredients, kept
    from riad.base.recipes import find, offered
    from riad.oci.reference import parse_reference

    folder, mine = cache_folder(), here.distribution()
    made = [find(parse_reference(name).with_default_tag(), *mine) for name in names] or offered(*mine)
    chosen = [(recipe, wanted, found) for recipe in made if (found := kept(folder, wanted := ingredients(recipe)))]
    stale = asyncio.run(_stale(chosen))
    if not stale:
        click.echo(f"{len(chosen)} kept, nothing is newer on the package mirror")
    if check or not stale:
        raise SystemExit(1 if stale else 0)
    wanted_ = [(parse_reference(recipe.name), wanted) for recipe, wanted in stale]
    with _progress(quiet=False) as tell:
        engine = None if keep_only else host or _engine()
        done = asyncio.run(_build_all(wanted_, engine, tell, refresh=True))
    _show(done, as_json=False)


async def _stale(chosen: Sequence[tuple[Recipe, Ingredients, Kept]]) -> list[tuple[Recipe, Ingredients]]:
    """Those with something newer, which is told."""
    from riad.base.update import upgrades

    stale = []
    for recipe, wanted, found in chosen:
        newer = await upgrades(found, wanted)
        for one in newer:
            click.echo(f"{recipe.name}: {one.package} {one.before} → {one.after}")
        if newer:
            stale.append((recipe, wanted))
    return stale


@base.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_recipes(*, as_json: bool) -> None:
    """List what can be made on this host, and what is kept."""
    from riad.base import host as here
    from riad.base.build import ingredients, kept
    from riad.base.recipes import offered
    from riad.cli.main import print_json

    rows = []
    for recipe in offered(*here.distribution()):
        found = kept(cache_folder(), ingredients(recipe))
        size = found.size if found else None
        rows.append({"name": recipe.name, "made_of": str(recipe.release), "kept_bytes": size})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = f"kept, {row['kept_bytes'] / 1e6:.0f} MB" if isinstance(row["kept_bytes"], int) else ""
        click.echo(f"{row['name']:<18} {row['made_of']:<22} {state}".rstrip())


def cache_folder() -> Path:
    """RIAD_CACHE, else /var/cache/riad for root and ~/.cache/riad (XDG_CACHE_HOME) for others; below it `base`."""
    if chosen := os.environ.get("RIAD_CACHE"):
        return Path(chosen).absolute() / "base"
    if os.geteuid() == 0:
        return Path("/var/cache/riad/base")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riad" / "base"


def _engine() -> str:
    from riad.cli import home

    return os.environ.get("DOCKER_HOST") or f"unix://{home.of().engine_socket}"


async def _build_all(
    wanted: Sequence[tuple[Reference, Ingredients]], engine: str | None, tell: Tell, *, refresh: bool
) -> list[dict[str, Any]]:
    from riad.dockerclient.client import DockerClient

    at_once = asyncio.Semaphore(os.cpu_count() or 1)
    async with contextlib.AsyncExitStack() as stack:
        docker = await stack.enter_async_context(DockerClient(engine)) if engine else None
        if docker is not None:
            await docker.ping()  # before minutes of work, not after

        async def one(reference: Reference, ingredients: Ingredients) -> dict[str, Any]:
            async with at_once:
                return await _build(reference, ingredients, docker, tell, refresh=refresh)

        jobs = []
        try:
            async with asyncio.TaskGroup() as group:
                jobs = [group.create_task(one(*pair)) for pair in wanted]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return [job.result() for job in jobs]


async def _build(
    reference: Reference, ingredients: Ingredients, docker: DockerClient | None, tell: Tell, *, refresh: bool
) -> dict[str, Any]:
    from riad.base.build import make
    from riad.base.deliver import deliver

    name = reference.familiar
    made: Kept = await make(cache_folder(), ingredients, say=lambda doing: tell(name, doing), anew=refresh)
    image = None
    if docker is not None:
        tell(name, "loading it into the engine")
        image = await deliver(docker, reference, made, ingredients, anew=refresh)
    tell(name, "done")
    return {"name": name, "id": image, "bytes": made.size, "made_in_seconds": made.seconds, "tar": str(made.tar)}


def _show(done: list[dict[str, Any]], *, as_json: bool) -> None:
    from riad.cli.main import print_json

    if as_json:
        print_json(done)
        return
    for entry in done:
        image = (entry["id"] or "").removeprefix("sha256:")[:12] or entry["tar"]
        click.echo(f"{entry['name']:<18} {image}  {entry['bytes'] / 1e6:.0f} MB")


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """One live line per image on a terminal, otherwise one line per step."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield (lambda name, doing: None) if quiet else (lambda name, doing: click.echo(f"{name}: {doing}", err=True))
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[name]:<18}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, doing: str) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(doing, total=1, name=name)
            progress.update(tasks[name], description=doing, completed=int(doing == "done"))

        yield tell
