"""What the in-job command sends: lines `name=value`, with `\\n` and `\\\\` for newlines and backslashes. Pure.

The answer is text, too: lines that begin with `> ` are for the user, the last is `riad: result success|failed`. A
client counts the lines it showed and asks again with `after=COUNT` when the connection is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from riad.deploy import names
from riad.deploy.model import Settings
from riad.kernel.faults import Fault, Finding, invalid

LONGEST_DEADLINE = 3600
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[!-~]{0,1023}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")

SUCCESS = "riad: result success"
FAILED = "riad: result failed"


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """`after`: how many lines of the answer the client has shown already."""

    image: str
    environment: str
    settings: Settings
    service: str | None = None
    url: str | None = None
    after: int = 0


def shown(line: str) -> str:
    """A line for the user, as it is sent."""
    return f"> {line}"


def parse(text: str) -> DeployRequest:
    """Raises INVALID with every finding, each named as the option of `riad deploy`."""
    reader = _Reader()
    for line in text.split("\n"):  # nothing else ends a line: a value may hold what Python would take for an end
        if line:
            name, equals, value = line.partition("=")
            reader.take(name, _unescaped(value) if equals else None)
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._environ: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def take(self, name: str, value: str | None) -> None:
        if value is None or name not in _KNOWN:
            self._findings.append(Finding(name, "is no setting of a deployment"))
        elif name == "env":
            self._variable(value)
        elif name in self._values:
            self._findings.append(Finding(f"--{name}", "is given twice"))
        else:
            self._values[name] = value

    def finish(self) -> DeployRequest:
        values = self._values
        environment = values.get("environment") or "production"
        self._check(lambda: names.environment_name(environment))
        service = values.get("name")
        if service is not None:
            self._check(lambda: names.service_name(service))
        settings = Settings(
            port=self._number("port", 1, 65535),
            health_path=self._matching("health", _PATH, "is not a path: it begins with / and has no spaces"),
            deadline=self._number("timeout", 1, LONGEST_DEADLINE) or Settings().deadline,
            environ=self._environ,
        )
        image = self._matching("image", _IMAGE, "is not an image reference (NAME:TAG or NAME@sha256:DIGEST)")
        if image is None:
            self._findings.append(Finding("--image", "is missing"))
        url = self._matching("url", names.URL, "is not an http(s) address")
        after = self._number("after", 0, 10**9) or 0
        if self._findings or image is None:
            raise invalid("\n".join(map(str, self._findings)), *self._findings)
        return DeployRequest(image, environment, settings, service, url, after)

    def _variable(self, value: str) -> None:
        name, equals, text = value.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            self._findings.append(Finding("--env", f'"{name[:100]}" is not NAME=VALUE'))
        elif "\0" in text:
            self._findings.append(Finding("--env", f"{name} holds a zero byte"))
        else:
            self._environ[name] = text

    def _number(self, name: str, least: int, most: int) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 12 and least <= int(value) <= most):
            self._findings.append(Finding(f"--{name}", f'"{value[:100]}" is not a number from {least} to {most}'))
            return None
        return int(value)

    def _matching(self, name: str, pattern: re.Pattern[str], otherwise: str) -> str | None:
        value = self._values.get(name)
        if value is not None and not pattern.fullmatch(value):
            self._findings.append(Finding(f"--{name}", f'"{value[:200]}" {otherwise}'))
            return None
        return value

    def _check(self, rule: Callable[[], object]) -> None:
        try:
            rule()
        except Fault as fault:
            self._findings.append(Finding("", fault.message))


_KNOWN = frozenset({"image", "environment", "port", "health", "env", "name", "timeout", "url", "after"})


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)
