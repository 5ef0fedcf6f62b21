"""JUnit XML as its many writers make it: read leniently, as a stream, within bounds.

Roots are `testsuites` or a bare `testsuite`, nested at will. A case is failed or in error by its child element; a
`rerunFailure` counts as failure, a `flakyFailure` (passed on retry) as success. A suite that reports errors but holds
no case (newman, when nothing answered) becomes one failed case, so that it cannot be overlooked. Entities are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from riad.kernel.faults import invalid

MAX_DEPTH = 100
MAX_CASES = 100_000
MAX_OUTPUT = 20_000
MAX_NAME = 1000

_FAILED = {"failure": "failed", "rerunFailure": "failed", "error": "error", "rerunError": "error"}


@dataclass(frozen=True, slots=True)
class TestCase:
    """`status` is success, failed, error or skipped; `seconds` 0.0 where the report does not say."""

    __test__ = False

    suite: str
    classname: str
    name: str
    file: str | None
    status: str
    seconds: float
    output: str | None


def parse(file: IO[bytes]) -> list[TestCase]:
    """Raises INVALID for what is not XML, not a JUnit report, or beyond the bounds."""
    try:
        return list(_Reader().read(file))
    except DefusedXmlException as error:
        raise invalid(f"not read: {type(error).__name__} (entities and DTDs are refused)") from None
    except (ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise invalid(f"not an XML file: {error}") from None


@dataclass(slots=True)
class _Suite:
    name: str
    file: str | None
    errors: int
    cases: int = 0
    output: str = ""


class _Reader:
    def __init__(self) -> None:
        self._suites: list[_Suite] = []
        self._depth = 0
        self._in_case = 0
        self._count = 0

    def read(self, file: IO[bytes]) -> Iterator[TestCase]:
        for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                self._start(element)
            else:
                yield from self._end(element)
                self._depth -= 1

    def _start(self, element: Element) -> None:
        name = _local(element.tag)
        if self._depth == 0 and name not in ("testsuites", "testsuite"):
            raise invalid(f"not a JUnit report: its top is <{name[:50]}>, not <testsuites> or <testsuite>")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid(f"nested deeper than {MAX_DEPTH} elements")
        if name == "testsuite":
            errors = _number(element.get("errors")) + _number(element.get("failures"))
            self._suites.append(_Suite(element.get("name", ""), element.get("file"), int(errors)))
        elif name == "testcase":
            self._in_case += 1

    def _end(self, element: Element) -> Iterator[TestCase]:
        name = _local(element.tag)
        if name == "testcase":
            self._in_case -= 1
            self._count += 1
            if self._count > MAX_CASES:
                raise invalid(f"more than {MAX_CASES} test cases")
            yield self._case(element)
            element.clear()
        elif self._in_case:
            return
        elif name == "testsuite":
            yield from self._close(self._suites.pop())
            element.clear()
        else:
            if name in ("system-err", "system-out") and self._suites:
                self._suites[-1].output += (element.text or "")[:MAX_OUTPUT]
            if name not in ("testsuites",):
                element.clear()

    def _case(self, element: Element) -> TestCase:
        suite = self._suites[-1] if self._suites else _Suite("", None, 0)
        for open_suite in self._suites:
            open_suite.cases += 1
        status, output = _result(element)
        return TestCase(
            suite=suite.name[:MAX_NAME],
            classname=(element.get("classname") or element.get("class") or "")[:MAX_NAME],
            name=(element.get("name") or "(without a name)")[:MAX_NAME],
            file=element.get("file") or suite.file,
            status=status,
            seconds=_number(element.get("time")),
            output=output,
        )

    def _close(self, suite: _Suite) -> Iterator[TestCase]:
        if suite.errors and not suite.cases:
            output = suite.output[:MAX_OUTPUT] or "the suite reports errors, but no test case"
            yield TestCase(suite.name[:MAX_NAME], "", "(the suite itself)", suite.file, "error", 0.0, output)


def _result(element: Element) -> tuple[str, str | None]:
    for child in element:
        status = _FAILED.get(_local(child.tag))
        if status is not None:
            return status, _message(child)
    for child in element:
        if _local(child.tag) == "skipped":
            return "skipped", _message(child)
    return "success", None


def _message(element: Element) -> str | None:
    text = "".join(element.itertext()).strip()
    message = (element.get("message") or "").strip()
    if message and message not in text:
        text = f"{message}\n{text}".strip()
    return text[:MAX_OUTPUT] or None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _number(text: str | None) -> float:
    """Comma for point and thousands commas are both seen in the wild; what is no number counts as 0."""
    cleaned = (text or "0").strip()
    if "," in cleaned:
        cleaned = cleaned.replace(",", "" if "." in cleaned else ".")
    try:
        found = float(cleaned)
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e9 else 0.0
