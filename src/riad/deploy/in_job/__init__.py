"""The `riad` command inside jobs: a POSIX shell script, put into every job's container as /usr/local/bin/riad.

It speaks the text protocol of `riad.deploy.request` with whatever HTTP client the image has.
"""

from __future__ import annotations

from importlib import resources


def script() -> bytes:
    """The script's text."""
    return resources.files(__package__).joinpath("riad.sh").read_bytes()
