"""Dockerfile lines applied to a configuration, as `--change` of `docker import` and `commit` takes them. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import replace

from riad.dockerfile.errors import Mistake
from riad.dockerfile.instructions import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from riad.dockerfile.parse import parse_trigger
from riad.dockerfile.words import expand
from riad.kernel.faults import invalid
from riad.oci.config import ContainerConfig
from riad.oci.config import Healthcheck as HealthConfig

_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)
_KNOWN = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
_DEFAULT_SHELL = ("/bin/sh", "-c")


def apply_changes(config: ContainerConfig, lines: Iterable[str]) -> ContainerConfig:
    """Raises INVALID for a line that does not parse or that would do more than change the configuration."""
    cmd_given = False
    for line in filter(str.strip, lines):
        word = line.split()[0]
        if word.upper() not in _KNOWN:
            raise invalid(f"{word} is not a valid change command")
        instruction = parse_trigger(line)
        config = _apply(config, instruction, line)
        cmd_given = cmd_given or isinstance(instruction, Cmd)
        if isinstance(instruction, Entrypoint) and not cmd_given:
            config = replace(config, cmd=None)  # the arguments were those of another program
    return config


def _apply(config: ContainerConfig, instruction: Instruction, line: str) -> ContainerConfig:
    env = dict(pair.partition("=")[::2] for pair in config.env)

    def word(text: str) -> str:
        try:
            return expand(text, env)
        except Mistake as mistake:
            raise invalid(f"{line}: {mistake}") from None

    match instruction:
        case Env(pairs=pairs):
            return replace(config, env=_set_env(config.env, [(word(key), word(value)) for key, value in pairs]))
        case Label(pairs=pairs):
            return replace(config, labels={**config.labels, **{word(key): word(value) for key, value in pairs}})
        case Cmd(command=command):
            return replace(config, cmd=_command(config, command))
        case Entrypoint(command=command):
            return replace(config, entrypoint=_command(config, command))
        case Expose(ports=ports):
            exposed = {found for port in ports for found in _ports(word(port))}
            return replace(config, exposed_ports=config.exposed_ports | exposed)
        case User(user=user):
            return replace(config, user=word(user))
        case Volume(paths=paths):
            return replace(config, volumes=config.volumes | {word(path) for path in paths})
        case Workdir(path=path):
            return replace(
                config, working_dir=posixpath.normpath(posixpath.join(config.working_dir or "/", word(path)))
            )
        case Stopsignal(signal=signal):
            return replace(config, stop_signal=word(signal))
        case Shell(args=args):
            return replace(config, shell=args)
        case Onbuild(trigger=trigger):
            return replace(config, on_build=(*config.on_build, trigger))
        case Healthcheck():
            return replace(config, healthcheck=_health(instruction))
        case _:
            name = line.split()[0].lower()
            raise invalid(f"{name} is not a valid change command: it changes more than the configuration")


def _command(config: ContainerConfig, command: Command) -> tuple[str, ...]:
    return (*(config.shell or _DEFAULT_SHELL), *command.args) if command.in_shell else command.args


def _set_env(env: tuple[str, ...], pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    merged = {entry.partition("=")[0]: entry for entry in env}
    merged.update({key: f"{key}={value}" for key, value in pairs})
    return tuple(merged.values())


def _ports(text: str) -> list[str]:
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if match is None or not 0 < first <= last < 65536:
        raise invalid(f"invalid containerPort: {text}: expected NUMBER[-NUMBER][/tcp|udp|sctp]")
    return [f"{number}/{match[3] or 'tcp'}" for number in range(first, last + 1)]


def _health(check: Healthcheck) -> HealthConfig:
    return HealthConfig(
        test=check.test,
        interval=check.interval,
        timeout=check.timeout,
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries,
    )
