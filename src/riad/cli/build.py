"""`riad build`: an image from a Dockerfile, on Riad's engine (or any other), without a docker client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from riad.dockerclient.progress import Progress

_LATER = {
    "secret": "secrets", "ssh": "SSH agents", "output": "outputs other than an image", "cache_to": "caches elsewhere",
}  # fmt: skip


@click.command()
@click.argument("context", default=".", metavar="[FOLDER|GIT|URL]")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name the image.")
@click.option("-f", "--file", "dockerfile", default="", help="The Dockerfile. [FOLDER/Dockerfile]")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME[=VALUE]", help="Set an ARG.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE")
@click.option("--target", default="", help="Build up to this stage.")
@click.option("--no-cache", is_flag=True, help="Make every step anew.")
@click.option("--pull", is_flag=True, help="Look for newer base images.")
@click.option("--network", default="", help="default, none, host or a network's name, for RUN.")
@click.option("--add-host", "hosts", multiple=True, metavar="HOST:ADDRESS")
@click.option("--platform", default="", metavar="OS/ARCH")
@click.option("--shm-size", default=0, metavar="BYTES")
@click.option("--iidfile", type=click.Path(dir_okay=False, path_type=Path), help="Write the image's id to a file.")
@click.option("-q", "--quiet", is_flag=True, help="Print the image's id only.")
@click.option("--host", help="The engine: unix://PATH or tcp://HOST:PORT. [DOCKER_HOST]")
@click.option("--secret", multiple=True, hidden=True)
@click.option("--ssh", multiple=True, hidden=True)
@click.option("-o", "--output", multiple=True, hidden=True)
@click.option("--cache-to", multiple=True, hidden=True)
def build(
    context: str,
    *,
    tags: tuple[str, ...],
    dockerfile: str,
    arguments: tuple[str, ...],
    labels: tuple[str, ...],
    iidfile: Path | None,
    quiet: bool,
    host: str | None,
    **options: object,
) -> None:
    """Build an image from the Dockerfile in FOLDER, in a git repository or behind an address.

    The engine builds, its cache is the one that docker and buildx use on it.
    """
    for name, what in _LATER.items():
        if options.pop(name):
            flag = name.replace("_", "-")
            raise click.UsageError(f"--{flag}: {what} need BuildKit's client: docker buildx build --{flag} …")
    query = {
        "target": options["target"],
        "nocache": "1" if options["no_cache"] else "",
        "pull": "1" if options["pull"] else "",
        "networkmode": options["network"],
        "platform": options["platform"],
        "shmsize": options["shm_size"] or "",
        "extrahosts": ",".join(options["hosts"]) if isinstance(options["hosts"], tuple) else "",
    }
    given = {name: str(value) for name, value in query.items() if value}
    image = asyncio.run(
        _build(context, dockerfile, host or _engine(), tags, _arguments(arguments), _labels(labels), given, quiet=quiet)
    )
    if iidfile is not None:
        iidfile.write_text(image)
    if quiet:
        click.echo(image)


async def _build(
    context: str,
    dockerfile: str,
    host: str,
    tags: tuple[str, ...],
    arguments: Mapping[str, str | None],
    labels: Mapping[str, str],
    options: dict[str, str],
    *,
    quiet: bool,
) -> str:
    from riad.dockerclient.client import DockerClient
    from riad.dockerclient.context import folder_context

    def show(progress: Progress) -> None:
        if not quiet:
            click.echo(progress.text, nl=False)

    if "://" in context or context.startswith(("git@", "github.com/")):
        body, name = None, dockerfile or "Dockerfile"
        options["remote"] = context
    else:
        folder = Path(context)
        name = os.path.relpath(dockerfile, folder) if dockerfile else "Dockerfile"
        if name.startswith(".."):
            raise click.UsageError(f"--file {dockerfile}: the Dockerfile has to lie in {folder}")
        body = folder_context(folder, name)
    async with DockerClient(host) as docker:
        return await docker.images.build(
            body, tags=tags, dockerfile=name, arguments=arguments, labels=labels, options=options, on_progress=show
        )


def _arguments(given: tuple[str, ...]) -> dict[str, str | None]:
    """A name without a value takes it from the environment, and stays unset where that has none."""
    found: dict[str, str | None] = {}
    for text in given:
        name, equals, value = text.partition("=")
        found[name] = value if equals else os.environ.get(name)
    return found


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    pairs = (text.partition("=") for text in given)
    return {name: value for name, _, value in pairs}


def _engine() -> str:
    from riad.cli import home

    return os.environ.get("DOCKER_HOST") or f"unix://{home.of().engine_socket}"
