"""What users, groups and projects may be called: GitLab's path rules, parsed once, with every reason it is refused.

A path is part of addresses (`/GROUP/NAME`), of image references and of host names, so it is letters, digits and
`_ . -`, starts with neither `-` nor `.`, and ends with neither `.git`, `.atom` nor a dot or dash.
"""

from __future__ import annotations

import re
from typing import NewType

from riad.kernel.faults import Finding, invalid

PathPart = NewType("PathPart", str)

LONGEST = 255

_ALLOWED = re.compile(r"[A-Za-z0-9_.-]+")

_TAKEN = """
.well-known 404.html 422.html 500.html 502.html 503.html abuse_reports admin api assets dashboard deploy.html events
explore favicon.ico favicon.png files groups health healthz health_check help import invites jwt login logout metrics
- new oauth profile projects public ready readyz riad robots.txt s search sent_notifications session
notification_settings settings sign-in sign-out sign_in sign_out snippets static unsubscribes uploads user users v2
"""

TAKEN = frozenset(_TAKEN.split())
"""Names of Riad's own addresses, which no user or group may take over."""


def part(text: str, *, what: str) -> PathPart:
    """One path segment (of a project, a group, or a username). Raises INVALID, naming `what`."""
    problems = []
    if not text:
        problems.append("is empty")
    elif not _ALLOWED.fullmatch(text):
        problems.append("may only hold letters, digits, '_', '-' and '.'")
    if text.startswith(("-", ".")):
        problems.append("may not start with '-' or '.'")
    if text.endswith(("-", ".", ".git", ".atom")):
        problems.append("may not end with '-', '.', '.git' or '.atom'")
    if ".." in text:
        problems.append("may not hold '..'")
    if len(text) > LONGEST:
        problems.append(f"may not be longer than {LONGEST} characters")
    if problems:
        raise invalid(
            f"{what} {text[:80]!r}: " + "; ".join(problems), *(Finding(what, problem) for problem in problems)
        )
    return PathPart(text)


def namespace(text: str, *, what: str) -> PathPart:
    """The path of a group or a username: a `part` that is none of Riad's own addresses."""
    path = part(text, what=what)
    if path.lower() in TAKEN:
        message = "is an address of Riad itself; choose another one"
        raise invalid(f"{what} {text!r} {message}", Finding(what, message))
    return path


def email(text: str) -> str:
    """Raises INVALID unless `text` has the shape of an e-mail address."""
    local, at, host = text.strip().rpartition("@")
    if not at or not local or not host or any(c.isspace() or c in "<>," for c in text.strip()):
        raise invalid(f"email {text[:80]!r} is not an e-mail address", Finding("email", "is invalid"))
    return text.strip()
