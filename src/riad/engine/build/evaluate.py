"""What one instruction means at one point of a stage. Pure: state and instruction in, an action out.

An action changes only the configuration (`Configure`), runs a command (`Execute`), places files (`Place`), or makes a
directory (`MakeDirectory`). The first needs no file system at all.
"""

from __future__ import annotations

import json
import posixpath
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from riad.dockerfile import words
from riad.dockerfile.errors import Mistake
from riad.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
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
from riad.dockerfile.references import PROXY_ARGS
from riad.dockerfile.source import Heredoc, heredoc_of
from riad.engine.build.modes import parse_mode
from riad.engine.build.remote import is_http
from riad.engine.build.stagestate import StageState, env_list
from riad.kernel.faults import Fault, invalid
from riad.oci.config import ContainerConfig
from riad.oci.config import Healthcheck as HealthcheckConfig

SCRIPTS = "/dev/pipes"
"""Where a here-document with a `#!` line is found while it runs."""

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/([A-Za-z]+))?")
_SIGNAL_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Scope:
    """What surrounds the stage: the values of global ARGs, what the client gave, the escape character."""

    global_values: Mapping[str, str]
    build_args: Mapping[str, str]
    escape: str = "\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`created_by` is what the image's history says."""

    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure(Action):
    """The stage with its new configuration or ARGs."""

    state: StageState


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Action):
    """`env` has everything the command sees; `keyed_env` leaves out the proxies, which change no result."""

    args: tuple[str, ...]
    shown: str
    env: tuple[str, ...]
    keyed_env: tuple[str, ...]
    cwd: str
    user: str
    mounts: tuple[Mount, ...]
    network: str | None
    scripts: tuple[tuple[str, str], ...] = ()
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class Inline:
    """A file whose content stands in the Dockerfile."""

    name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Action):
    """`target` is absolute; with a trailing slash it is a directory. `unpack` is None for "local archives only".

    `exclude` and `parents` as their flags; with `link` the files make a layer of their own, whatever lies below.
    """

    keyword: str
    sources: tuple[str, ...]
    inline: tuple[Inline, ...]
    target: str
    from_: str | None
    chown: str | None
    chmod: str | None
    unpack: bool | None
    exclude: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDirectory(Action):
    """Makes `path` for root where it is missing; `state` has the new working directory."""

    path: str
    state: StageState


def evaluate(instruction: Instruction, state: StageState, scope: Scope) -> Action:
    """Raises INVALID or UNSUPPORTED that names the instruction's line."""
    try:
        return _RULES[type(instruction)](instruction, state, scope)
    except Mistake as mistake:
        raise invalid(f"dockerfile line {instruction.line}: {_keyword(instruction)}: {mistake}") from None
    except Fault as fault:
        raise Fault(fault.kind, f"dockerfile line {instruction.line}: {fault.message}") from None


def declared(arg: Arg, state: StageState, scope: Scope) -> dict[str, str]:
    """The ARGs in force after `arg`: what the client gave, else its default, else the global value of that name."""
    args = dict(state.args)
    for name, default in arg.args:
        if name in scope.build_args:
            args[name] = scope.build_args[name]
        elif default is not None:
            args[name] = words.expand(default, {**args, **state.env}, escape=scope.escape)
        elif name in scope.global_values:
            args[name] = scope.global_values[name]
    return args


def _keyword(instruction: Instruction) -> str:
    return instruction.text.split(None, 1)[0] if instruction.text else type(instruction).__name__.upper()


def _expand(text: str, state: StageState, scope: Scope) -> str:
    return words.expand(text, state.variables, escape=scope.escape)


def _configured(state: StageState, created_by: str, **changes: object) -> Configure:
    config: ContainerConfig = replace(state.config, **changes)  # type: ignore[arg-type]
    return Configure(created_by=created_by, state=state.with_config(config))


def _arg(i: Arg, state: StageState, scope: Scope) -> Action:
    return Configure(created_by=i.text, state=replace(state, args=declared(i, state, scope)))


def _pairs(pairs: tuple[tuple[str, str], ...], state: StageState, scope: Scope) -> dict[str, str]:
    found = {_expand(name, state, scope): _expand(value, state, scope) for name, value in pairs}
    if "" in found:
        raise Mistake("names can not be blank")
    return found


def _env(i: Env, state: StageState, scope: Scope) -> Action:
    pairs = _pairs(i.pairs, state, scope)
    shown = " ".join(f"{name}={value}" for name, value in pairs.items())
    return _configured(state, f"ENV {shown}", env=env_list({**state.env, **pairs}))


def _label(i: Label, state: StageState, scope: Scope) -> Action:
    pairs = _pairs(i.pairs, state, scope)
    shown = " ".join(f"{name}={value}" for name, value in pairs.items())
    return _configured(state, f"LABEL {shown}", labels={**state.config.labels, **pairs})


def _run(i: Run, state: StageState, scope: Scope) -> Action:
    if i.security not in (None, "sandbox", "insecure"):
        raise invalid(f"RUN --security={i.security}: expected sandbox or insecure")
    if i.network not in (None, "default", "none", "host"):
        raise invalid(f"RUN --network={i.network}: expected default, none or host")
    for mount in i.mounts:
        _check_mount(mount)
    command, scripts = _script(i, scope)
    args = (*state.shell, *command.args) if command.in_shell else command.args
    own = {name: value for name, value in state.args.items() if name not in state.env}
    keyed = {**own, **state.env}
    proxies = {n: v for n, v in scope.build_args.items() if n in PROXY_ARGS and n not in keyed}
    shown = " ".join(args)
    given = "".join(f"{name}={value} " for name, value in sorted(own.items()))
    return Execute(
        created_by=f"RUN |{len(own)} {given}{shown}" if own else f"RUN {shown}",
        args=args,
        shown=shown,
        env=env_list({**proxies, **keyed}),
        keyed_env=tuple(sorted(env_list(keyed))),
        cwd=state.config.working_dir or "/",
        user=state.config.user,
        mounts=tuple(_expanded_mount(mount, state, scope) for mount in i.mounts),
        network=i.network,
        scripts=scripts,
        privileged=i.security == "insecure",
    )


def _check_mount(mount: Mount) -> None:
    if mount.options.get("sharing", "shared") not in ("shared", "locked", "private"):
        raise invalid(f"RUN --mount: sharing={mount.options['sharing']}: expected shared, private or locked")


def _expanded_mount(mount: Mount, state: StageState, scope: Scope) -> Mount:
    return Mount(mount.kind, {name: _expand(value, state, scope) for name, value in mount.options.items()})


def _script(i: Run, scope: Scope) -> tuple[Command, tuple[tuple[str, str], ...]]:
    """A here-document alone is the script itself (run by its `#!` where it has one); else the shell gets it whole."""
    if not i.heredocs:
        return i.command, ()
    if not i.command.in_shell:
        raise Mistake("a here-document needs the shell form")
    text = i.command.args[0]
    only: Heredoc = i.heredocs[0]
    if len(i.heredocs) == 1 and heredoc_of(text, scope.escape) is not None:
        if only.content.startswith("#!"):
            return Command((f"{SCRIPTS}/{only.name}",), in_shell=False), ((only.name, only.text),)
        return Command((only.text,), in_shell=True), ()
    whole = text + "".join(f"\n{document.content}{document.name}" for document in i.heredocs)
    return Command((whole,), in_shell=True), ()


def _copy(i: Copy, state: StageState, scope: Scope) -> Action:
    sources = tuple(_expand(source, state, scope) for source in i.sources)
    target = _expand(i.target, state, scope)
    inline = tuple(
        Inline(d.name, words.expand_variables(d.text, state.variables, escape=scope.escape) if d.expand else d.text)
        for d in i.heredocs
    )
    keyword = "ADD" if isinstance(i, Add) else "COPY"
    if not target or not all(sources):
        raise Mistake("an empty source or destination; check the variables in it")
    if len(sources) + len(inline) > 1 and not target.endswith("/"):
        raise Mistake(
            f"When using {keyword} with more than one source file, the destination must be a directory and end with a /"
        )
    checksum = _expand(i.checksum, state, scope) if isinstance(i, Add) and i.checksum else ""
    if checksum and not all(map(is_http, sources)):
        raise Mistake("checksum can't be specified for non-HTTP(S) sources")
    chown = i.chown and _expand(i.chown, state, scope)
    chmod = i.chmod and _expand(i.chmod, state, scope)
    if chmod:
        parse_mode(chmod)
    exclude = tuple(_expand(pattern, state, scope) for pattern in i.exclude)
    given = [("from", i.from_), ("chown", chown), ("chmod", chmod), *(("exclude", pattern) for pattern in exclude)]
    flags = "".join(f"--{n}={v} " for n, v in given if v) + "--parents " * i.parents + "--link " * i.link
    shown = " ".join((*sources, *(f"<<{document.name}" for document in inline), target))
    return Place(
        created_by=f"{keyword} {flags}{shown}",
        keyword=keyword,
        sources=sources,
        inline=inline,
        target=absolute(target, state.config.working_dir),
        from_=i.from_,
        chown=chown or None,
        chmod=chmod or None,
        unpack=i.unpack if isinstance(i, Add) else False,
        exclude=exclude,
        parents=i.parents,
        link=i.link,
        checksum=checksum,
        keep_git_dir=isinstance(i, Add) and i.keep_git_dir,
    )


def _workdir(i: Workdir, state: StageState, scope: Scope) -> Action:
    given = _expand(i.path, state, scope)
    if not given:
        raise Mistake("the path is empty; check the variables in it")
    path = absolute(given, state.config.working_dir).rstrip("/") or "/"
    changed = state.with_config(replace(state.config, working_dir=path))
    return MakeDirectory(created_by=f"WORKDIR {path}", path=path, state=changed)


def absolute(path: str, working_dir: str) -> str:
    """`path` from the working directory, cleaned; a trailing slash (also of `.`) is kept: it says "a directory"."""
    whole = posixpath.normpath("/" + posixpath.join(working_dir or "/", path))
    whole = "/" + whole.lstrip("/")
    last = path.rstrip("/").rpartition("/")[2]
    return whole + "/" if whole != "/" and (path.endswith("/") or last in (".", "..")) else whole


def _user(i: User, state: StageState, scope: Scope) -> Action:
    user = _expand(i.user, state, scope)
    return _configured(state, f"USER {user}", user=user)


def _expose(i: Expose, state: StageState, scope: Scope) -> Action:
    specs = [w for port in i.ports for w in words.expand_words(port, state.variables, escape=scope.escape)]
    ports = frozenset(port for spec in specs for port in _ports(spec))
    shown = " ".join(sorted(ports, key=lambda port: (int(port.partition("/")[0]), port)))
    return _configured(state, f"EXPOSE {shown}", exposed_ports=state.config.exposed_ports | ports)


def _ports(spec: str) -> list[str]:
    match = _PORT.fullmatch(spec.rpartition(":")[2])
    if match is None:
        raise Mistake(f"invalid containerPort: {spec}: expected PORT, PORT/tcp, PORT/udp or FIRST-LAST")
    first, last, protocol = int(match[1]), int(match[2] or match[1]), (match[3] or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise Mistake(f"invalid proto: {match[3]}: expected tcp, udp or sctp")
    if not 0 < first <= last < 65536:
        raise Mistake(f"invalid containerPort: {spec}: ports are 1 to 65535, the smaller first")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _volume(i: Volume, state: StageState, scope: Scope) -> Action:
    paths = tuple(_expand(path, state, scope).strip() for path in i.paths)
    if not all(paths):
        raise Mistake("VOLUME specified can not be an empty string")
    shown = json.dumps(list(paths))
    return _configured(state, f"VOLUME {shown}", volumes=state.config.volumes | frozenset(paths))


def _started(command: Command, state: StageState) -> tuple[str, ...]:
    return (*state.shell, *command.args) if command.in_shell and command.args else command.args


def _entrypoint(i: Entrypoint, state: StageState, _: Scope) -> Action:
    entrypoint = _started(i.command, state)
    cmd = state.config.cmd if state.cmd_here else None
    return _configured(state, f"ENTRYPOINT {json.dumps(list(entrypoint))}", entrypoint=entrypoint or None, cmd=cmd)


def _cmd(i: Cmd, state: StageState, _: Scope) -> Action:
    cmd = _started(i.command, state)
    return _configured(replace(state, cmd_here=True), f"CMD {json.dumps(list(cmd))}", cmd=cmd)


def _shell(i: Shell, state: StageState, _: Scope) -> Action:
    return _configured(state, f"SHELL {json.dumps(list(i.args))}", shell=i.args)


def _stopsignal(i: Stopsignal, state: StageState, scope: Scope) -> Action:
    name = _expand(i.signal, state, scope)
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 4 else 0
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    known = full in signal.Signals.__members__ or re.fullmatch(r"SIGRTM(IN|AX)([+-]\d{1,2})?", full)
    if not (0 < number <= _SIGNAL_LIMIT or known):
        raise Mistake(f"Invalid signal: {name}")
    return _configured(state, f"STOPSIGNAL {name}", stop_signal=name)


def _healthcheck(i: Healthcheck, state: StageState, _: Scope) -> Action:
    check = HealthcheckConfig(i.test, i.interval, i.timeout, i.start_period, i.start_interval, i.retries)
    return _configured(state, i.text, healthcheck=check)


def _onbuild(i: Onbuild, state: StageState, _: Scope) -> Action:
    return _configured(state, i.text, on_build=(*state.config.on_build, i.trigger))


def _maintainer(i: Maintainer, state: StageState, scope: Scope) -> Action:
    changed = replace(state, image=replace(state.image, author=_expand(i.name, state, scope)))
    return Configure(created_by=i.text, state=changed)


_RULES: dict[type[Instruction], Callable[..., Action]] = {
    Add: _copy,
    Arg: _arg,
    Cmd: _cmd,
    Copy: _copy,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _label,
    Maintainer: _maintainer,
    Onbuild: _onbuild,
    Run: _run,
    Shell: _shell,
    Stopsignal: _stopsignal,
    User: _user,
    Volume: _volume,
    Workdir: _workdir,
}
