"""Rules about what a Dockerfile says: variables, stages, what hides secrets or has no effect. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from riad.dockerfile import words
from riad.dockerfile.errors import Mistake, suggestion
from riad.dockerfile.ignore import IgnoreFile
from riad.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Shell,
    User,
    Volume,
    Workdir,
)
from riad.dockerfile.lint.finding import RULES, LintFinding
from riad.dockerfile.parse import Dockerfile, Stage
from riad.dockerfile.references import PROXY_ARGS, platform_args

_ONCE = (Cmd, Entrypoint, Healthcheck)
_EXPANDED = (Env, Label, Copy, Add, Workdir, User, Expose, Volume)
_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:^|_)public(?:_|$)|(?:^|_)(?:file|path|url)$", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_IMAGE = re.compile(r"(?:[\w.-]+(?::\d+)?/)?[\w.-]+(?:/[\w.-]+)*(?::[\w][\w.-]*)?(?:@\w+:[0-9a-f]+)?")
BUILTIN = frozenset(platform_args("os/arch")) | {"TARGETSTAGE"} | PROXY_ARGS


def meant(
    dockerfile: Dockerfile, build_args: Mapping[str, str], ignore: IgnoreFile, bases: Mapping[int, frozenset[str]]
) -> Iterator[LintFinding]:
    """`bases` are the environment names of the stages' base images, where those are known."""
    yield from _stage_names(dockerfile)
    global_names = {name for arg in dockerfile.global_args for name, _ in arg.args}
    yield from _froms(dockerfile, global_names, build_args)
    known: dict[int, frozenset[str] | None] = {}
    for stage in dockerfile.stages:
        yield from _once(stage)
        yield from _json(stage)
        yield from _workdir(stage, dockerfile)
        inherited = _inherited(stage, dockerfile, bases, known)
        yield from _variables(stage, inherited, known)
        for instruction in stage.instructions:
            yield from _secrets(instruction)
            yield from _ports(instruction)
            yield from _ignored(instruction, ignore)
    for arg in dockerfile.global_args:
        yield from _secrets(arg)


def _stage_names(dockerfile: Dockerfile) -> Iterator[LintFinding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name in seen:
            yield _found("DuplicateStageName", stage.base, f"the stage name '{stage.name}' is used already")
        seen.add(stage.name or "")


def _froms(dockerfile: Dockerfile, names: set[str], build_args: Mapping[str, str]) -> Iterator[LintFinding]:
    defaults = {name: default for arg in dockerfile.global_args for name, default in arg.args}
    for stage in dockerfile.stages:
        base = stage.base
        for name in _used(f"{base.image} {base.platform or ''}"):
            if name not in names and name not in BUILTIN:
                hint = suggestion(name, names)
                yield _found("UndefinedArgInFrom", base, f"FROM uses '{name}', which no ARG before it declares{hint}")
        if base.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            yield _found("RedundantTargetPlatform", base, f"--platform={base.platform} changes nothing; leave it out")
        elif base.platform and "$" not in base.platform and not _varies(stage, base.platform):
            detail = f"--platform={base.platform} is fixed; use a variable, or leave it to --platform of the build"
            yield _found("FromPlatformFlagConstDisallowed", base, detail)
        if _used(base.image) and not _usable(base.image, defaults, dockerfile.escape):
            detail = f"with the defaults of its ARGs {base.image} is no name of an image"
            yield _found("InvalidDefaultArgInFrom", base, detail)


def _varies(stage: Stage, platform: str) -> bool:
    """A fixed platform in the stage's own name says that it is meant."""
    return stage.name is not None and any(part in stage.name for part in platform.split("/"))


def _usable(image: str, defaults: Mapping[str, str | None], escape: str) -> bool:
    values = {name: default or "" for name, default in defaults.items()} | platform_args("linux/amd64")
    try:
        return _IMAGE.fullmatch(words.expand(image, values, escape=escape)) is not None
    except Mistake:
        return False


def _once(stage: Stage) -> Iterator[LintFinding]:
    for kind in _ONCE:
        found = [instruction for instruction in stage.instructions if isinstance(instruction, kind)]
        for instruction in found[:-1]:
            name = kind.__name__.upper()
            detail = f"only the last {name} of a stage counts; this one has no effect"
            yield _found("MultipleInstructionsDisallowed", instruction, detail)


def _json(stage: Stage) -> Iterator[LintFinding]:
    shell = False
    for instruction in stage.instructions:
        shell = shell or isinstance(instruction, Shell)
        if isinstance(instruction, (Cmd, Entrypoint)) and instruction.command.in_shell and not shell:
            name = type(instruction).__name__.upper()
            detail = f"{name} in shell form keeps signals from its program; use a JSON array"
            yield _found("JSONArgsRecommended", instruction, detail)


def _workdir(stage: Stage, dockerfile: Dockerfile) -> Iterator[LintFinding]:
    absolute = dockerfile.stage(stage.base.image) is not None
    for instruction in stage.instructions:
        if isinstance(instruction, Workdir):
            if not instruction.path.strip("\"'").startswith(("/", "$")) and not absolute:
                detail = f"{instruction.path} depends on the working directory of the base image"
                yield _found("WorkdirRelativePath", instruction, detail)
            absolute = True


def _inherited(
    stage: Stage, dockerfile: Dockerfile, bases: Mapping[int, frozenset[str]], known: dict[int, frozenset[str] | None]
) -> frozenset[str] | None:
    """The variables a stage begins with; None where its base image is not known."""
    for before in reversed(dockerfile.stages[: stage.index]):
        if before.name == stage.base.image.lower():
            return known[before.index]
    return frozenset() if stage.base.image == "scratch" else bases.get(stage.index)


def _variables(
    stage: Stage, inherited: frozenset[str] | None, known: dict[int, frozenset[str] | None]
) -> Iterator[LintFinding]:
    env: set[str] = set(inherited or ())
    args: set[str] = set()
    for instruction in stage.instructions:
        if inherited is not None and isinstance(instruction, _EXPANDED):
            for name in _used(" ".join(_texts(instruction))):
                if name not in env | args | {"PATH"} | PROXY_ARGS:
                    hint = suggestion(name, env | args)
                    yield _found("UndefinedVar", instruction, f"'${name}' is not defined here{hint}")
        if isinstance(instruction, Arg):
            args |= {name for name, _ in instruction.args}
        elif isinstance(instruction, Env):
            env |= {name for name, _ in instruction.pairs}
    known[stage.index] = None if inherited is None else frozenset(env)


def _texts(instruction: Instruction) -> Iterable[str]:
    """What of an instruction is expanded; single quotes keep their inside."""
    for field in fields(instruction):
        value = getattr(instruction, field.name)
        if field.name in ("text", "heredocs"):
            continue
        for item in value if isinstance(value, tuple) else (value,):
            for text in item if isinstance(item, tuple) else (item,):
                if isinstance(text, str):
                    yield re.sub(r"'[^']*'|\\\$", "", text)


def _used(text: str) -> list[str]:
    """Names that are used without a modifier that provides for their absence."""
    return list(dict.fromkeys(match[1] or match[2] for match in _VARIABLE.finditer(text)))


def _secrets(instruction: Instruction) -> Iterator[LintFinding]:
    names = [name for name, _ in instruction.args] if isinstance(instruction, Arg) else []
    names += [name for name, _ in instruction.pairs] if isinstance(instruction, Env) else []
    for name in names:
        if _SECRET.search(name) and not _PUBLIC.search(name):
            keyword = "ARG" if isinstance(instruction, Arg) else "ENV"
            detail = f'{keyword} "{name}" looks like a secret; give it by RUN --mount=type=secret'
            yield _found("SecretsUsedInArgOrEnv", instruction, detail)


def _ports(instruction: Instruction) -> Iterator[LintFinding]:
    for port in instruction.ports if isinstance(instruction, Expose) else ():
        protocol = port.rpartition("/")[2] if "/" in port else ""
        if protocol != protocol.lower():
            detail = f"the protocol of '{port}' should be in lower case"
            yield _found("ExposeProtoCasing", instruction, detail)
        if ":" in port:
            detail = f"'{port}' names an address or a port of the host, which EXPOSE does not take"
            yield _found("ExposeInvalidFormat", instruction, detail)


def _ignored(instruction: Instruction, ignore: IgnoreFile) -> Iterator[LintFinding]:
    if not isinstance(instruction, Copy) or instruction.from_ or not ignore.patterns:
        return
    for source in instruction.sources:
        if "$" in source or "://" in source or source.startswith("git@"):
            continue
        path = posixpath.normpath("/" + source).lstrip("/")
        pattern = ignore.deciding(path) if path else None
        if pattern is not None:
            detail = f"'{source}' is taken out by \"{pattern.text}\" in line {pattern.line} of .dockerignore"
            yield _found("CopyIgnoredFile", instruction, detail)


def _found(rule: str, instruction: Instruction, detail: str) -> LintFinding:
    return LintFinding(RULES[rule], detail, instruction.line, instruction.end_line)
