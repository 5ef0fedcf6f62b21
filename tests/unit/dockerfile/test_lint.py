"""Build checks by `tests/cases/dockerfile-lint/*.case`: a Dockerfile above the arrow, the findings below."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.dockerfile.ignore import parse_ignore
from riad.dockerfile.lint import RULES, findings
from riad.kernel.faults import Fault

_CASES = Path(__file__).parents[2] / "cases" / "dockerfile-lint"


def _cases() -> list[tuple[str, str, str]]:
    found = []
    for file in sorted(_CASES.glob("*.case")):
        for block in file.read_text().split("=== ")[1:]:
            name, _, rest = block.partition("\n")
            text, _, wanted = rest.partition("--->\n")
            found.append((name, text, wanted.strip()))
    return found


@pytest.mark.parametrize(("name", "text", "wanted"), _cases(), ids=[case[0] for case in _cases()])
def test_rules(name: str, text: str, wanted: str) -> None:
    if wanted.startswith("error "):
        with pytest.raises(Fault) as caught:
            findings(text.encode())
        assert f"error {caught.value.message}" == wanted
        return
    found, _ = findings(text.encode())
    assert "\n".join(f"{finding.line} {finding.rule.name}" for finding in found) == wanted


def test_every_rule_has_a_case() -> None:
    named = {line.split()[-1] for _, _, wanted in _cases() for line in wanted.splitlines()}
    assert set(RULES) - named == {"CopyIgnoredFile"}  # it needs an ignore file


def test_what_is_ignored_should_not_be_copied() -> None:
    text = b"# check=experimental=CopyIgnoredFile\nFROM scratch\nCOPY a.log b /x/\nADD https://h/a.log /\n"
    found, _ = findings(text, ignore=parse_ignore("*.log\n"))
    assert [(finding.rule.name, finding.line) for finding in found] == [("CopyIgnoredFile", 3)]


def test_variables_of_a_known_base_are_defined() -> None:
    text = b"FROM base\nCOPY $HOME $NONE /x/\n"
    found, _ = findings(text, bases={0: frozenset({"HOME"})})
    assert ["$NONE" in finding.detail for finding in found] == [True]


def test_a_setting_from_outside_wins() -> None:
    text = b"# check=skip=all\nFROM scratch AS One\n"
    found, settings = findings(text, settings="error=true")
    assert len(found) == 1 and settings.error


@given(st.text(alphabet="FROMARGENVCPY as$={}:-\\\n<EOF'\"#/x1", max_size=120))
def test_no_text_breaks_it(text: str) -> None:
    try:
        findings(b"FROM a\n" + text.encode())
    except Fault:
        return
