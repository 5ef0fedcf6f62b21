"""The lines that pull and push print, as dockerd words them: one status per layer that changes, totals at the end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

Line = dict[str, Any]
Report = Callable[[Line], Awaitable[None]]
_EVERY = 0.1  # seconds between two lines of one layer's bar; more only flickers


async def nowhere(line: Line) -> None:
    return None


class LayerProgress:
    """What is said about one layer; `id` is the short digest that people see."""

    def __init__(self, report: Report, name: str, *, total: int = 0) -> None:
        self._report = report
        self._name = name
        self._total = total
        self._last = 0.0
        self._kind = ""

    async def say(self, status: str) -> None:
        await self._report({"status": status, "progressDetail": {}, "id": self._name})

    async def moved(self, status: str, current: int) -> None:
        """Draws the bar, at most every tenth of a second while it is of one kind."""
        now = time.monotonic()
        if now - self._last < _EVERY and status == self._kind:
            return
        self._last, self._kind = now, status
        detail = {"current": current, "total": self._total}
        await self._report(
            {"status": status, "progressDetail": detail, "progress": bar(current, self._total), "id": self._name}
        )


def bar(current: int, total: int) -> str:
    """`[=====>     ]  1.5MB/3MB`, fifty characters wide.

    >>> bar(500, 1000)
    '[=========================>                         ]     500B/1kB'
    """
    if total <= 0:
        return f"{size_text(current):>8}"
    done = min(50, current * 50 // total)
    arrow = "=" * done + ">"
    return f"[{arrow:<51}] {size_text(current):>8}/{size_text(total)}"


def size_text(size: float) -> str:
    """Bytes in decimal units with at most four significant digits, as Docker prints sizes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}TB"
