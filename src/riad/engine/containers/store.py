"""Containers in the state database: one row each, the parts that change apart from what was asked for at creation."""

from __future__ import annotations

import json

from riad.engine.containers.codec import from_json, to_json
from riad.engine.containers.model import Container, Run, Settings
from riad.engine.state import State

_SCHEMA = (
    """
    CREATE TABLE container (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL, image_id TEXT NOT NULL,
        settings TEXT NOT NULL, layers TEXT NOT NULL, mounts TEXT NOT NULL, phase TEXT NOT NULL, run TEXT NOT NULL,
        restart_count INTEGER NOT NULL, stopped_by_user INTEGER NOT NULL)
    """,
    "CREATE TABLE engine_boot (boot_id TEXT NOT NULL)",
)
_COLUMNS = (
    "id",
    "name",
    "created",
    "image_id",
    "settings",
    "layers",
    "mounts",
    "phase",
    "run",
    "restart_count",
    "stopped_by_user",
)


class ContainerStore:
    def __init__(self, state: State) -> None:
        self._state = state
        state.migrate("containers", _SCHEMA)

    def add(self, container: Container) -> None:
        with self._state.transaction() as sql:
            sql.execute("INSERT INTO container VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(container))

    def save(self, container: Container, *, before: Container) -> None:
        """Writes what has changed since `before`."""
        names = "name", "settings", "mounts", "phase", "run", "restart_count", "stopped_by_user"
        changed = [name for name in names if getattr(container, name) != getattr(before, name)]
        if changed:
            values = [_column(container, name) for name in changed]
            assignments = ", ".join(f"{name} = ?" for name in changed)
            with self._state.transaction() as sql:
                sql.execute(f"UPDATE container SET {assignments} WHERE id = ?", (*values, container.id))  # noqa: S608

    def remove(self, container_id: str) -> None:
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM container WHERE id = ?", (container_id,))

    def all(self) -> list[Container]:
        rows = self._state.connection.execute("SELECT * FROM container ORDER BY created").fetchall()
        return [
            from_json(
                Container,
                dict(row)
                | {name: json.loads(row[name]) for name in ("settings", "layers", "mounts", "run")}
                | {"stopped_by_user": bool(row["stopped_by_user"])},
            )
            for row in rows
        ]

    def swap_boot(self, boot_id: str) -> bool:
        """Remembers under which boot of the host we run. False where it is another one than the last time."""
        with self._state.transaction() as sql:
            known = sql.execute("SELECT boot_id FROM engine_boot").fetchone()
            sql.execute("DELETE FROM engine_boot")
            sql.execute("INSERT INTO engine_boot VALUES (?)", (boot_id,))
        return known is not None and known["boot_id"] == boot_id


def _row(container: Container) -> tuple[object, ...]:
    return tuple(_column(container, name) for name in _COLUMNS)


def _column(container: Container, name: str) -> object:
    value = getattr(container, name)
    if isinstance(value, Settings | Run | tuple):
        return json.dumps(to_json(value), separators=(",", ":"))
    return to_json(value) if name in ("created", "phase") else value
