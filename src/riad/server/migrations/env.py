"""Alembic's environment: runs on the connection that `server.schema` hands in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

import riad.server.tables  # noqa: F401 -- fills the metadata that versions are compared with
from riad.kernel.db import Base, Moment


def render_item(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Migrations outlive the code: they name plain types, not Riad's."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
