"""Signals as users name them."""

from __future__ import annotations

import signal as signals

from riad.kernel.faults import invalid


def signal_number(text: str) -> int:
    """`9`, `KILL`, `SIGKILL`, `RTMIN+3` → the number. Raises INVALID with Docker's sentence."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isdigit() and int(name) > 64:
        raise invalid(f"the linux daemon does not support signal {name}")
    if name.isdigit() and int(name):
        return int(name)
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    found = getattr(signals, f"SIG{base}", None)
    if isinstance(found, signals.Signals) and (not sign or (base.startswith("RTM") and offset.isdigit())):
        return int(found) + (int(offset) if sign == "+" else -int(offset) if sign else 0)
    raise invalid(f"invalid signal: {text}")
