"""Findings about a Dockerfile that builds, by the rules of `docker build --check` (Docker docs, "Build checks").

`findings` is the way in; the rules are in `lines` (how it is written) and `meaning` (what it says).
"""

from riad.dockerfile.lint.check import Settings, findings
from riad.dockerfile.lint.finding import RULES, LintFinding, Rule

__all__ = ["RULES", "LintFinding", "Rule", "Settings", "findings"]
