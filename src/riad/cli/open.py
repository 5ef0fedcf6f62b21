"""`riad open`: the web address of Riad, or of a project."""

from __future__ import annotations

import os
import shutil
import subprocess

import click

from riad.cli import home as homes


@click.command("open")
@click.argument("project", required=False)
def open_page(project: str | None) -> None:
    """Print the web address of Riad, or of PROJECT (GROUP/NAME), and open it where there is a desktop."""
    base = (os.environ.get("RIAD_URL") or homes.of().external_url).rstrip("/")
    url = f"{base}/{project}" if project else base
    click.echo(url)
    if (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and shutil.which("xdg-open"):
        subprocess.run(["xdg-open", url], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
