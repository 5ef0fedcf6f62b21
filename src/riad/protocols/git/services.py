"""What git over HTTP needs of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from riad.forge.model import Project, RefUpdate
from riad.forge.repositories import Repositories
from riad.kernel.clock import Clock
from riad.kernel.db import Database


def _nothing(*_: object) -> None:
    return None


def _silence(_project: Project, _updates: Sequence[RefUpdate]) -> Sequence[str]:
    return ()


def _unknown(options: Sequence[str]) -> str:
    return f"push option {options[0]!r} is not supported" if options else ""


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    clock: Clock
    repositories: Repositories
    external_url: str = "http://localhost:8080"
    announced: Callable[[], None] = _nothing
    """Called when a push has been announced: wakes up whoever delivers events. From any thread."""
    remarks: Callable[[Project, Sequence[RefUpdate]], Sequence[str]] = _silence
    """Lines to show to who has pushed, such as where to watch the pipeline."""
    objection: Callable[[Sequence[str]], str] = _unknown
    """Why a push with these options (`git push -o …`) is not taken; empty where it is."""
    largest_push: int = 2 * 1024**3
    """Bytes of one push's pack."""
