"""Alembic's environment: runs on the connection that `server.schema` hands in."""

from __future__ import annotations

from alembic import context

import riad.server.tables  # noqa: F401 -- fills the metadata that versions are compared with
from riad.kernel.db import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
