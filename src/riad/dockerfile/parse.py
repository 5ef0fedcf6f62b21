"""Dockerfile text → stages of typed instructions. Anything wrong is an INVALID fault that names the line.

`parse(content)` is the way in; the grammar of lines is in `source`, of arguments in `arguments`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass

from riad.dockerfile import arguments, source, words
from riad.dockerfile.errors import Mistake, at_line, suggestion
from riad.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Mount,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from riad.dockerfile.source import Statement

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_MOUNT_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_MOUNT_OPTIONS = {
    "dst": "target",
    "destination": "target",
    "target": "target",
    "src": "source",
    "source": "source",
    "ro": "readonly",
    "readonly": "readonly",
    "rw": "readwrite",
    "readwrite": "readwrite",
    **{name: name for name in ("id", "from", "sharing", "required", "mode", "uid", "gid", "size", "env")},
}
_HEALTH_FLAGS = ("interval", "timeout", "start-period", "start-interval", "retries")


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM with what follows it; `index` counts from 0."""

    index: int
    base: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str | None:
        return self.base.name


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`global_args` are the ARGs before the first FROM: FROM lines see them, stages only after their own `ARG NAME`."""

    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    escape: str
    directives: dict[str, str]

    def stage(self, name: str) -> Stage | None:
        """The stage of that name (any case; the last one where names repeat)."""
        return next((s for s in reversed(self.stages) if s.name == name.lower()), None)


def parse(content: bytes | str) -> Dockerfile:
    """Raises INVALID with `dockerfile parse error on line N: …`."""
    text = content if isinstance(content, str) else source.decode(content)
    read = source.read(text)
    global_args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for statement in read.statements:
        instruction = _located(statement, read.escape)
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            global_args.append(instruction)
        else:
            raise at_line(statement.line, "no build stage in current context: the first instruction must be FROM")
    if not stages:
        raise at_line(read.statements[-1].end_line, "no build stage in current context: there is no FROM")
    return Dockerfile(
        tuple(global_args),
        tuple(Stage(index, base, tuple(rest)) for index, (base, rest) in enumerate(stages)),
        read.escape,
        read.directives,
    )


def parse_trigger(text: str, escape: str = "\\", *, line: int = 0) -> Instruction:
    """One instruction on its own: an ONBUILD trigger of a base image, `docker import --change`. Raises INVALID."""
    read = source.read(text if escape == "\\" else f"# escape={escape}\n{text}")
    if len(read.statements) != 1:
        raise at_line(line, f"{text!r} is not exactly one instruction")
    statement = read.statements[0]
    return _located(
        Statement(line, line, statement.keyword, statement.flags, statement.rest, statement.heredocs), escape
    )


def _located(statement: Statement, escape: str) -> Instruction:
    try:
        return _instruction(statement, escape)
    except Mistake as mistake:
        raise at_line(statement.line, str(mistake)) from None


def _instruction(statement: Statement, escape: str) -> Instruction:
    reader = _READERS.get(statement.keyword)
    if reader is None:
        raise Mistake(f"unknown instruction: {statement.keyword}{suggestion(statement.keyword, _READERS)}")
    return reader(statement, escape)


def _from(s: Statement, _: str) -> From:
    flags = arguments.flags(s, known=("platform",))
    parts = s.rest.split()
    name = None
    if len(parts) == 3 and parts[1].lower() == "as":
        name = parts[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise Mistake(
                f'invalid name for build stage: "{parts[2]}", name can\'t start with a number or contain symbols'
            )
    elif len(parts) != 1:
        raise Mistake("FROM requires either one or three arguments")
    return From(
        line=s.line, end_line=s.end_line, text=s.text, image=parts[0], name=name, platform=flags.one("platform")
    )


def _arg(s: Statement, escape: str) -> Arg:
    arguments.flags(s)
    parts = words.split(s.rest, escape=escape)
    if not parts:
        raise Mistake("ARG requires at least one argument")
    args: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, default = part.partition("=")
        if not name:
            raise Mistake("ARG names can not be blank")
        args.append((name, default if equals else None))
    return Arg(line=s.line, end_line=s.end_line, text=s.text, args=tuple(args))


def _env(s: Statement, escape: str) -> Env:
    arguments.flags(s)
    return Env(line=s.line, end_line=s.end_line, text=s.text, pairs=arguments.pairs(s, escape))


def _label(s: Statement, escape: str) -> Label:
    arguments.flags(s)
    return Label(line=s.line, end_line=s.end_line, text=s.text, pairs=arguments.pairs(s, escape))


def _run(s: Statement, _: str) -> Run:
    flags = arguments.flags(s, known=("network", "security"), repeatable=("mount",))
    command = arguments.command(s.rest)
    if not command.args:
        raise Mistake("RUN requires at least one argument")
    return Run(
        line=s.line,
        end_line=s.end_line,
        text=s.text,
        command=command,
        heredocs=s.heredocs,
        mounts=tuple(map(_mount, flags.all("mount"))),
        network=flags.one("network"),
        security=flags.one("security"),
    )


def _mount(value: str) -> Mount:
    options: dict[str, str] = {}
    kind = "bind"
    for part in next(csv.reader([value.replace("\n", " ")]), []):
        name, equals, text = part.partition("=")
        name = name.strip().lower()
        if name == "type":
            kind = text
        elif name not in _MOUNT_OPTIONS:
            raise Mistake(f"unexpected key '{name}' in '{part}'{suggestion(name, _MOUNT_OPTIONS)}")
        else:
            options[_MOUNT_OPTIONS[name]] = text if equals else "true"
    if kind not in _MOUNT_KINDS:
        raise Mistake(f'unsupported mount type "{kind}"{suggestion(kind, _MOUNT_KINDS)}')
    if kind in ("bind", "cache", "tmpfs") and not options.get("target"):
        raise Mistake(f"--mount=type={kind} needs target=PATH")
    if "$" in options.get("from", ""):
        raise Mistake("'from' doesn't support variable expansion, define alias stage instead")
    return Mount(kind, options)


_COPY_FLAGS = ("from", "chown", "chmod")
_COPY_SWITCHES = ("link", "parents")


def _copy(s: Statement, escape: str) -> Copy:
    flags = arguments.flags(s, known=_COPY_FLAGS, repeatable=("exclude",), switches=_COPY_SWITCHES)
    sources, target = _sources(s, escape)
    return Copy(
        line=s.line,
        end_line=s.end_line,
        text=s.text,
        sources=sources,
        target=target,
        heredocs=s.heredocs,
        from_=_copy_from(flags.one("from")),
        chown=flags.one("chown"),
        chmod=flags.one("chmod"),
        link=bool(flags.on("link")),
        parents=bool(flags.on("parents")),
        exclude=flags.all("exclude"),
    )


def _add(s: Statement, escape: str) -> Add:
    flags = arguments.flags(
        s,
        known=("chown", "chmod", "checksum"),
        repeatable=("exclude",),
        switches=("link", "keep-git-dir", "unpack"),
    )
    sources, target = _sources(s, escape)
    return Add(
        line=s.line,
        end_line=s.end_line,
        text=s.text,
        sources=sources,
        target=target,
        heredocs=s.heredocs,
        chown=flags.one("chown"),
        chmod=flags.one("chmod"),
        link=bool(flags.on("link")),
        exclude=flags.all("exclude"),
        checksum=flags.one("checksum"),
        keep_git_dir=bool(flags.on("keep-git-dir")),
        unpack=flags.on("unpack"),
    )


def _copy_from(value: str | None) -> str | None:
    if value is not None and "$" in value:
        raise Mistake(
            "variable expansion is not supported for --from, "
            "define a new stage with FROM using ARG from global scope as a workaround"
        )
    return value


def _sources(s: Statement, escape: str) -> tuple[tuple[str, ...], str]:
    """The ordinary sources and the target; words that open here-documents are taken out."""
    parts = arguments.listed(s.rest)
    if len(parts) < 2:
        given = "no arguments were provided" if not parts else "only one was provided"
        raise Mistake(f"{s.keyword} requires at least two arguments, but {given}. Destination could not be determined.")
    *sources, target = parts
    return tuple(word for word in sources if not (s.heredocs and source.heredoc_of(word, escape))), target


def _workdir(s: Statement, _: str) -> Workdir:
    arguments.flags(s)
    return Workdir(line=s.line, end_line=s.end_line, text=s.text, path=arguments.exactly_one(s))


def _user(s: Statement, _: str) -> User:
    arguments.flags(s)
    return User(line=s.line, end_line=s.end_line, text=s.text, user=arguments.exactly_one(s))


def _expose(s: Statement, _: str) -> Expose:
    arguments.flags(s)
    ports = arguments.at_least_one(s, tuple(s.rest.split()))
    return Expose(line=s.line, end_line=s.end_line, text=s.text, ports=ports)


def _volume(s: Statement, _: str) -> Volume:
    arguments.flags(s)
    paths = arguments.at_least_one(s, arguments.listed(s.rest))
    if not all(path.strip() for path in paths):
        raise Mistake("VOLUME specified can not be an empty string")
    return Volume(line=s.line, end_line=s.end_line, text=s.text, paths=paths)


def _entrypoint(s: Statement, _: str) -> Entrypoint:
    arguments.flags(s)
    return Entrypoint(line=s.line, end_line=s.end_line, text=s.text, command=arguments.command(s.rest))


def _cmd(s: Statement, _: str) -> Cmd:
    arguments.flags(s)
    return Cmd(line=s.line, end_line=s.end_line, text=s.text, command=arguments.command(s.rest))


def _shell(s: Statement, _: str) -> Shell:
    arguments.flags(s)
    args = arguments.json_list(s.rest)
    if args is None:
        raise Mistake("SHELL requires the arguments to be in JSON form")
    return Shell(line=s.line, end_line=s.end_line, text=s.text, args=arguments.at_least_one(s, args))


def _stopsignal(s: Statement, _: str) -> Stopsignal:
    arguments.flags(s)
    return Stopsignal(line=s.line, end_line=s.end_line, text=s.text, signal=arguments.exactly_one(s))


def _healthcheck(s: Statement, _: str) -> Healthcheck:
    flags = arguments.flags(s, known=_HEALTH_FLAGS)
    kind, *rest = s.rest.split(None, 1) or [""]
    if not kind:
        raise Mistake("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        if rest or s.flags:
            raise Mistake("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(line=s.line, end_line=s.end_line, text=s.text, test=("NONE",))
    if kind.upper() != "CMD":
        raise Mistake(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    command = arguments.command(rest[0] if rest else "")
    if not command.args:
        raise Mistake("Missing command after HEALTHCHECK CMD")
    times = {name: flags.one(name) or "0" for name in _HEALTH_FLAGS}
    retries = times.pop("retries")
    if not (retries.isascii() and retries.isdigit() and len(retries) < 10):
        raise Mistake(f"--retries: {retries!r} is not a number of 0 or more")
    least = 10**6
    return Healthcheck(
        line=s.line,
        end_line=s.end_line,
        text=s.text,
        test=("CMD-SHELL" if command.in_shell else "CMD", *command.args),
        interval=arguments.duration(times["interval"], "--interval", least=least),
        timeout=arguments.duration(times["timeout"], "--timeout", least=least),
        start_period=arguments.duration(times["start-period"], "--start-period", least=least),
        start_interval=arguments.duration(times["start-interval"], "--start-interval", least=least),
        retries=int(retries),
    )


def _onbuild(s: Statement, escape: str) -> Onbuild:
    arguments.flags(s)
    rest = arguments.exactly_one(s)
    inner = source.statement(s.line, s.end_line, rest, escape)
    if inner.keyword == "ONBUILD":
        raise Mistake("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if inner.keyword in ("FROM", "MAINTAINER"):
        raise Mistake(f"{inner.keyword} isn't allowed as an ONBUILD trigger")
    _instruction(Statement(s.line, s.end_line, inner.keyword, inner.flags, inner.rest, s.heredocs), escape)
    documents = "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in s.heredocs)
    return Onbuild(line=s.line, end_line=s.end_line, text=s.text, trigger=rest + documents)


def _maintainer(s: Statement, _: str) -> Maintainer:
    arguments.flags(s)
    return Maintainer(line=s.line, end_line=s.end_line, text=s.text, name=arguments.exactly_one(s))


_READERS: dict[str, Callable[[Statement, str], Instruction]] = {
    "FROM": _from,
    "ARG": _arg,
    "ENV": _env,
    "LABEL": _label,
    "RUN": _run,
    "COPY": _copy,
    "ADD": _add,
    "WORKDIR": _workdir,
    "USER": _user,
    "EXPOSE": _expose,
    "VOLUME": _volume,
    "ENTRYPOINT": _entrypoint,
    "CMD": _cmd,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "HEALTHCHECK": _healthcheck,
    "ONBUILD": _onbuild,
    "MAINTAINER": _maintainer,
}
