"""What names, keys and values may be. Limits are those that MLflow's clients rely on. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from riad.kernel.faults import Fault, invalid

LONGEST_KEY = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_NAME = 500
LONGEST_EXPERIMENT_TAG = 20_000
LONGEST_MODEL_TAG = 100_000

_KEY = re.compile(r"[/\w.\- :]*")
_ALIAS = re.compile(r"[\w-]+")
_VERSION_LIKE = re.compile(r"[vV]\d+")


def key(text: object, what: str, at: str = "key") -> str:
    """The name of a metric, parameter or tag. Raises INVALID that names the parameter `at`."""
    if not isinstance(text, str) or text == "":
        raise _bad(at, text, "A key name must be provided.")
    if not _KEY.fullmatch(text):
        raise _bad(
            at,
            text,
            f"Names of a {what} may only contain alphanumerics, underscores (_), dashes (-), periods (.), "
            "spaces ( ), colons (:) and slashes (/).",
        )
    if len(text) > LONGEST_KEY:
        raise _bad(at, text, f"it exceeds the maximum length of {LONGEST_KEY} characters")
    if _escapes(text):
        raise _bad(at, text, "Names may be treated as files in certain cases, and must not resolve to other names.")
    return text


def tag_key(text: object, what: str = "tag", at: str = "key", longest: int = LONGEST_KEY) -> str:
    if isinstance(text, str) and LONGEST_KEY < len(text) <= longest:
        return text
    return key(text, what, at)


def bounded(text: str, longest: int, what: str) -> str:
    if len(text) > longest:
        raise invalid(f"{what} exceeds the maximum length of {longest} characters ({len(text)})")
    return text


def experiment(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise invalid("Invalid experiment name: it must be a non-empty string")
    return bounded(text, LONGEST_NAME, "The experiment name")


def model(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise invalid("Missing value for required parameter 'name'.")
    if "/" in text or ":" in text:
        raise invalid(f"Invalid model name: '{text}'. The name cannot contain '/' or ':'.")
    return bounded(text, 256, "The model name")


def alias(text: object) -> str:
    if not isinstance(text, str) or not _ALIAS.fullmatch(text):
        raise invalid(
            f"Invalid alias name: '{text}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if _VERSION_LIKE.fullmatch(text):
        raise invalid(f"Version alias name '{text}' is reserved: it reads like a version number")
    if text.lower() == "latest":
        raise invalid(f"Alias name '{text}' is reserved: it means the newest version")
    return bounded(text, 255, "The alias")


def unique(keys: Iterable[str]) -> None:
    """Raises INVALID for a parameter that is given twice."""
    seen: set[str] = set()
    for name in keys:
        if name in seen:
            raise invalid(f"Duplicate parameter keys have been submitted: ['{name}']. Submit each key once.")
        seen.add(name)


def _escapes(text: str) -> bool:
    """Client libraries keep keys as paths of files: `..`, `a//b` and `/a` would be somebody else's."""
    normal = posixpath.normpath(text)
    return normal != text or normal == "." or normal.startswith(("..", "/"))


def _bad(at: str, value: object, reason: str) -> Fault:
    shown = value if isinstance(value, str) and len(value) <= 300 else str(value)[:300]
    return invalid(f"Invalid value {shown!r} for parameter '{at}' supplied: {reason}")
