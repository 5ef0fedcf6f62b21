"""The rules by name, and what one of them found."""

from __future__ import annotations

from dataclasses import dataclass

_URL = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True, slots=True)
class Rule:
    """`experimental` rules are applied only where they are asked for."""

    name: str
    description: str
    page: str
    experimental: bool = False

    @property
    def url(self) -> str:
        return f"{_URL}{self.page}/"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """`detail` says what is wrong; lines count from 1."""

    rule: Rule
    detail: str
    line: int
    end_line: int

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.detail} (line {self.line})"


_ALL = (
    Rule("StageNameCasing", "Names of stages are written in lower case", "stage-name-casing"),
    Rule("FromAsCasing", "'as' is written in the case of its 'from'", "from-as-casing"),
    Rule("NoEmptyContinuation", "Empty lines inside of an instruction will become errors", "no-empty-continuation"),
    Rule(
        "ConsistentInstructionCasing", "All instructions of a file are written in one case",
        "consistent-instruction-casing",
    ),
    Rule("DuplicateStageName", "Names of stages are unique", "duplicate-stage-name"),
    Rule("ReservedStageName", "scratch and context are no names for stages", "reserved-stage-name"),
    Rule(
        "JSONArgsRecommended", "CMD and ENTRYPOINT in JSON form get the signals that are meant for them",
        "json-args-recommended",
    ),
    Rule("MaintainerDeprecated", "MAINTAINER is deprecated: a label names the author", "maintainer-deprecated"),
    Rule("UndefinedArgInFrom", "FROM uses ARGs that were declared before it", "undefined-arg-in-from"),
    Rule(
        "WorkdirRelativePath", "A relative WORKDIR needs an absolute one before it, lest the base decide",
        "workdir-relative-path",
    ),
    Rule("UndefinedVar", "Variables are defined before they are used", "undefined-var"),
    Rule(
        "MultipleInstructionsDisallowed", "Of several CMD, ENTRYPOINT or HEALTHCHECK in a stage only the last counts",
        "multiple-instructions-disallowed",
    ),
    Rule("LegacyKeyValueFormat", "ENV and LABEL are written as name=value", "legacy-key-value-format"),
    Rule(
        "RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM is what happens without it",
        "redundant-target-platform",
    ),
    Rule("SecretsUsedInArgOrEnv", "Secrets in ARG or ENV stay in the image", "secrets-used-in-arg-or-env"),
    Rule(
        "InvalidDefaultArgInFrom", "The defaults of global ARGs give names that can be built",
        "invalid-default-arg-in-from",
    ),
    Rule(
        "FromPlatformFlagConstDisallowed", "FROM --platform names no fixed platform",
        "from-platform-flag-const-disallowed",
    ),
    Rule("ExposeProtoCasing", "Protocols in EXPOSE are written in lower case", "expose-proto-casing"),
    Rule("ExposeInvalidFormat", "EXPOSE names ports of the container only", "expose-invalid-format"),
    Rule("CopyIgnoredFile", "COPY and ADD name nothing that .dockerignore takes out", "copy-ignored-file", True),
    Rule(
        "InvalidDefinitionDescription", "A comment before FROM or ARG begins with what it describes",
        "invalid-definition-description", True,
    ),
)  # fmt: skip
RULES = {rule.name: rule for rule in _ALL}
