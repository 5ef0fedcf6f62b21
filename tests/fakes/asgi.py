"""A client of an ASGI application without a socket."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have httpx's successor, which nothing else here needs
    from starlette.testclient import TestClient as TestClient
