"""Rules about how a Dockerfile is written: cases of keywords, empty lines inside instructions, old forms. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from riad.dockerfile import words
from riad.dockerfile.lint.finding import RULES, LintFinding
from riad.dockerfile.source import Source, Statement


def written(text: str, source: Source) -> Iterator[LintFinding]:
    lines = text.split("\n")
    keywords = [(statement, _keyword(lines, statement)) for statement in source.statements]
    yield from _casing(keywords)
    for statement, keyword in keywords:
        yield from _empty_lines(lines, statement)
        if statement.keyword == "FROM":
            yield from _from(statement, keyword, lines)
        elif statement.keyword in ("ENV", "LABEL"):
            yield from _old_form(statement, source.escape)
        elif statement.keyword == "MAINTAINER":
            yield _found("MaintainerDeprecated", statement, "use LABEL org.opencontainers.image.authors instead")
    yield from _descriptions(lines, source)


def _keyword(lines: list[str], statement: Statement) -> str:
    return (lines[statement.line - 1].split(None, 1) or [""])[0]


def _casing(keywords: list[tuple[Statement, str]]) -> Iterator[LintFinding]:
    """Whatever is in the minority, or in mixed case, stands out."""
    count = Counter("lower" if keyword.islower() else "upper" for _, keyword in keywords)
    wanted = "lowercase" if count["lower"] > count["upper"] else "uppercase"
    for statement, keyword in keywords:
        right = keyword.lower() if wanted == "lowercase" else keyword.upper()
        if keyword != right:
            yield _found(
                "ConsistentInstructionCasing",
                statement,
                f"'{keyword}' should be written as most instructions of this file are ({wanted})",
            )


def _empty_lines(lines: list[str], statement: Statement) -> Iterator[LintFinding]:
    last = statement.end_line - sum(document.content.count("\n") + 1 for document in statement.heredocs)
    for number in range(statement.line + 1, last + 1):
        if not lines[number - 1].strip():
            yield LintFinding(RULES["NoEmptyContinuation"], "empty line inside of an instruction", number, number)


def _from(statement: Statement, keyword: str, lines: list[str]) -> Iterator[LintFinding]:
    parts = statement.rest.split()
    if len(parts) != 3:
        return
    name, as_ = parts[2], parts[1]
    if keyword.isupper() != as_.isupper() or keyword.islower() != as_.islower():
        yield _found("FromAsCasing", statement, f"'{as_}' and '{keyword}' are not written in the same case")
    if name != name.lower():
        yield _found("StageNameCasing", statement, f"the stage name '{name}' should be in lower case")
    if name.lower() in ("scratch", "context"):
        yield _found("ReservedStageName", statement, f"'{name}' has a meaning of its own and should not name a stage")


def _old_form(statement: Statement, escape: str) -> Iterator[LintFinding]:
    parts = words.split(statement.rest, escape=escape)
    if parts and "=" not in parts[0]:
        yield _found(
            "LegacyKeyValueFormat", statement, f'"{statement.keyword} name=value" should be used instead of a blank'
        )


_DESCRIPTION = re.compile(r"#\s*(\S.*)")


def _descriptions(lines: list[str], source: Source) -> Iterator[LintFinding]:
    """A comment straight above FROM … AS NAME or ARG NAME begins with that name."""
    for statement in source.statements:
        if statement.keyword not in ("FROM", "ARG") or statement.line < 2:
            continue
        comment = _DESCRIPTION.fullmatch(lines[statement.line - 2].strip())
        parts = statement.rest.split()
        name = parts[2] if statement.keyword == "FROM" and len(parts) == 3 else parts[0].partition("=")[0]
        if statement.keyword == "FROM" and len(parts) != 3:
            continue
        if comment and "=" not in comment[1] and comment[1].split()[0] != name:
            yield _found(
                "InvalidDefinitionDescription", statement,
                f"the comment above should begin with '{name}', or be set apart by an empty line",
            )  # fmt: skip


def _found(rule: str, statement: Statement, detail: str) -> LintFinding:
    return LintFinding(RULES[rule], detail, statement.line, statement.end_line)
