"""How pages put moments, durations, sizes and counts into words; pure."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SPANS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"), (4.35, "week"), (12, "month"))
RUN_STATES = {
    "RUNNING": "running",
    "SCHEDULED": "pending",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "canceled",
}
"""The states of experiments' runs in the words that jobs have."""


def ago(moment: datetime, now: datetime) -> str:
    """`3 minutes ago`, `just now`, `in 2 hours`."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 10:
        return "just now"
    amount, name = _largest(abs(seconds))
    text = f"{amount} {name}{'' if amount == 1 else 's'}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def _largest(seconds: float) -> tuple[int, str]:
    amount: float = seconds
    for size, name in _SPANS:
        if amount < size:
            return int(amount), name
        amount /= size
    return int(amount), "year"


def duration(seconds: float | None) -> str:
    """`0.8 s`, `42 s`, `3 min 12 s`, `1 h 04 min`; an empty text for None."""
    if seconds is None:
        return ""
    if seconds < 0.0005:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: int) -> str:
    """Bytes in decimal units, three figures: `999 B`, `1.21 MB`."""
    if count < 1000:
        return f"{count} B"
    amount: float = count
    unit = 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount /= 1000
        unit += 1
    return f"{amount:.{max(0, 3 - len(str(int(amount))))}f} {_UNITS[unit]}"


def absolute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ")


def initials(name: str) -> str:
    parts = name.split() or ["?"]
    return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else "")).upper()
