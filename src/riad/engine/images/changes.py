"""Dockerfile lines applied to a configuration, as `--change` of `docker import` and `commit` takes them. Pure."""

from __future__ import annotations

import posixpath
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

_DEFAULT_SHELL = ("/bin/sh", "-c")


def apply_changes(config: ContainerConfig, lines: Iterable[str]) -> ContainerConfig:
    """Raises INVALID for a line that does not parse or that would do more than change the configuration."""
    for line in lines:
        if line.strip():
            config = _apply(config, parse_trigger(line), line)
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
            return replace(config, exposed_ports=config.exposed_ports | {_port(word(port)) for port in ports})
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
            raise invalid(f"{line.split()[0]} is not a valid change command: it changes more than the configuration")


def _command(config: ContainerConfig, command: Command) -> tuple[str, ...]:
    return (*(config.shell or _DEFAULT_SHELL), *command.args) if command.in_shell else command.args


def _set_env(env: tuple[str, ...], pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    merged = {entry.partition("=")[0]: entry for entry in env}
    merged.update({key: f"{key}={value}" for key, value in pairs})
    return tuple(merged.values())


def _port(text: str) -> str:
    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if (
        not number.isascii()
        or not number.isdigit()
        or not 0 < int(number) < 65536
        or protocol not in ("tcp", "udp", "sctp")
    ):
        raise invalid(f"invalid containerPort: {text}: expected NUMBER[/tcp|udp|sctp]")
    return f"{int(number)}/{protocol}"


def _health(check: Healthcheck) -> HealthConfig:
    return HealthConfig(
        test=check.test,
        interval=check.interval,
        timeout=check.timeout,
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries,
    )
