"""What `git push -o OPTION` may say to pipelines, in GitLab's words: `ci.skip` and `ci.variable=KEY=VALUE`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SKIP = "ci.skip"
_VARIABLE = re.compile(r'ci\.variable="?(?P<key>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*?)"?', re.DOTALL)


def skips(options: Sequence[str]) -> bool:
    return _SKIP in options


def variables(options: Sequence[str]) -> dict[str, str]:
    """
    >>> variables(["ci.variable=LEVEL=high", "ci.skip"])
    {'LEVEL': 'high'}
    """
    found = (_VARIABLE.fullmatch(option) for option in options)
    return {match["key"]: match["value"] for match in found if match}


def objection(options: Sequence[str]) -> str:
    """Why they cannot be followed, with the way out; empty where they can."""
    for option in options:
        if option != _SKIP and not _VARIABLE.fullmatch(option):
            return f"push option {option!r} is not supported; use ci.skip or ci.variable=KEY=VALUE"
    return ""
