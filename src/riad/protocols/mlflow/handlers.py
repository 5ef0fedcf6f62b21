"""What a route does: a function over one transaction and one call, marked as reading or as writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from riad.ml.sql import Sql
from riad.protocols.mlflow.access import Caller
from riad.protocols.mlflow.body import Body


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` holds what its address names, too. `now` in milliseconds since 1970."""

    caller: Caller
    body: Body
    now: int


Work = Callable[[Sql, Call], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Handler:
    work: Work
    writes: bool


def reads(work: Work) -> Handler:
    return Handler(work, writes=False)


def writes(work: Work) -> Handler:
    return Handler(work, writes=True)
