"""How the git program is run: with nothing of the host's or the server's environment, so that it behaves the same
everywhere and no configuration, hook or prompt of anybody's gets in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

GIT = "git"


def environment(*, protocol: str | None = None) -> Mapping[str, str]:
    """`protocol` is the value of the client's Git-Protocol header (gitprotocol-http(5)), already checked."""
    found = {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",  # data folders restored under another user stay usable
        "GIT_CONFIG_VALUE_0": "*",
    }
    if protocol:
        found["GIT_PROTOCOL"] = protocol
    return found
