"""One question to an engine that may be there or not."""

from __future__ import annotations

import asyncio
from typing import Any

from riad.kernel.faults import Fault, Kind

_PATIENCE = 120.0
"""Seconds: a container that is stopped may take its time."""

DEFAULT_HOST = "unix:///run/riad/engine.sock"


def ask(host: str, method: str, path: str, *, document: object = None, versioned: bool = True) -> Any:
    """The engine's JSON answer to `document`. Raises its refusal, UNAVAILABLE where no engine is at `host`."""
    from riad.dockerclient.address import parse
    from riad.dockerclient.transport import Transport

    async def asked() -> Any:
        transport = Transport(parse(host))
        try:
            return await transport.json(method, path, document=document, timeout=_PATIENCE, versioned=versioned)
        finally:
            await transport.close()

    return asyncio.run(asked())


def info(host: str) -> dict[str, Any] | None:
    """What the engine says of itself; None where none answers."""
    try:
        found: dict[str, Any] = ask(host, "GET", "/info")
    except Fault as fault:
        if fault.kind is Kind.UNAVAILABLE:
            return None
        raise
    return found
