"""What a container inherits from its image, pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from riad.kernel.faults import invalid
from riad.oci.config import ContainerConfig, Healthcheck


def merge(asked: ContainerConfig, image: ContainerConfig) -> ContainerConfig:
    """`asked` over the defaults of `image`. Raises INVALID where neither names a command."""
    entrypoint, cmd = _command(asked, image)
    if not entrypoint and not cmd:
        raise invalid("no command specified")
    return replace(
        asked,
        user=asked.user or image.user,
        exposed_ports=asked.exposed_ports | image.exposed_ports,
        env=merge_env(image.env, asked.env),
        entrypoint=entrypoint,
        cmd=cmd,
        volumes=asked.volumes | image.volumes,
        working_dir=asked.working_dir or image.working_dir,
        labels={**image.labels, **asked.labels},
        stop_signal=asked.stop_signal or image.stop_signal,
        stop_timeout=asked.stop_timeout if asked.stop_timeout is not None else image.stop_timeout,
        healthcheck=_health(asked.healthcheck, image.healthcheck),
        on_build=asked.on_build,
        shell=asked.shell or image.shell,
    )


def _command(asked: ContainerConfig, image: ContainerConfig) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Naming an entrypoint drops the image's arguments; `--entrypoint ""` drops its entrypoint too."""
    if asked.entrypoint:
        return (None if asked.entrypoint == ("",) else asked.entrypoint), asked.cmd
    entrypoint = image.entrypoint if asked.entrypoint is None else asked.entrypoint
    return entrypoint, asked.cmd if asked.cmd else image.cmd


def merge_env(below: Iterable[str], above: Iterable[str]) -> tuple[str, ...]:
    """`NAME=value` entries of `above` replace those of `below`; a bare `NAME` takes the variable away."""
    merged: dict[str, str] = {}
    for entry in (*below, *above):
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    return tuple(merged.values())


def _health(asked: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    if asked is None or image is None:
        return asked or image
    return Healthcheck(
        test=asked.test or image.test,
        interval=asked.interval or image.interval,
        timeout=asked.timeout or image.timeout,
        start_period=asked.start_period or image.start_period,
        start_interval=asked.start_interval or image.start_interval,
        retries=asked.retries or image.retries,
    )
