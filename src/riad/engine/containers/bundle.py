"""From a container to its runtime specification, pure: namespaces, mounts, limits, security as they were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from riad.engine.containers import spec
from riad.engine.containers.capabilities import effective
from riad.engine.containers.merge import merge_env
from riad.engine.containers.model import Container, HostSettings, MountPoint
from riad.engine.containers.mounting import TMPFS_DEFAULTS
from riad.engine.containers.user import Account
from riad.kernel.faults import invalid

INIT_PATH = "/sbin/docker-init"
_PERIOD = 100_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the start has settled: where things are, and which namespaces of others are joined.

    `joined` maps network, pid and ipc to the path of a namespace; "host" means the host's own. `files` maps paths in
    the container (/etc/hosts …) to the host's files.
    """

    root: str
    group: str
    account: Account
    joined: Mapping[str, str]
    files: Mapping[str, str]
    bounding: frozenset[str]
    devices: tuple[spec.Device, ...] = ()
    init_program: str | None = None
    swap_limits: bool = False


def bundle(container: Container, around: Surroundings, host: spec.Host) -> spec.Bundle:
    """Raises INVALID for security options that make no sense."""
    settings = container.settings
    wanted = settings.host
    security = read_security(wanted.security)
    unconfined = security.system_paths or wanted.privileged
    return spec.Bundle(
        root=around.root,
        process=process(container, around),
        namespaces=namespaces(wanted, around.joined, host),
        cgroup=around.group,
        hostname=settings.hostname,
        domainname=settings.domainname,
        read_only=wanted.read_only,
        mounts=tuple(_mounts(container, around)),
        shm_size=wanted.shm_size,
        resources=resources(wanted, swap_limits=around.swap_limits),
        devices=around.devices,
        device_rules=tuple(parse_device_rule(text) for text in wanted.device_rules),
        sysctls=wanted.sysctls,
        masked_paths=() if unconfined else _or(wanted.masked_paths, spec.MASKED_PATHS),
        readonly_paths=() if unconfined else _or(wanted.readonly_paths, spec.READONLY_PATHS),
        seccomp=security.seccomp,
        privileged=wanted.privileged,
        propagation=_root_propagation(container.mounts),
    )


def _or(given: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if given is None else given


def process(container: Container, around: Surroundings) -> spec.Process:
    settings, wanted = container.settings, container.settings.host
    init = (INIT_PATH, "--") if wanted.init else ()
    height, width = (*wanted.console_size, 0, 0)[:2]
    return spec.Process(
        args=(*init, *container.command),
        env=environment(container, home=around.account.home),
        cwd=settings.config.working_dir or "/",
        user=around.account.user,
        terminal=settings.tty,
        console_size=(height, width) if height and width else None,
        capabilities=effective(
            add=wanted.cap_add, drop=wanted.cap_drop, privileged=wanted.privileged, bounding=around.bounding
        ),
        no_new_privileges=read_security(wanted.security).no_new_privileges,
        limits=wanted.ulimits,
        oom_score_adj=wanted.oom_score_adj or None,
    )


def environment(
    container: Container, *, home: str, extra: Iterable[str] = (), tty: bool | None = None
) -> tuple[str, ...]:
    """PATH, HOSTNAME, TERM and HOME where nobody has said otherwise, as Docker sets them."""
    settings = container.settings
    terminal = settings.tty if tty is None else tty
    defaults = (spec.DEFAULT_PATH, f"HOSTNAME={settings.hostname}", *(["TERM=xterm"] if terminal else []))
    merged = merge_env(defaults, (*settings.config.env, *extra))
    return merged if any(entry.startswith("HOME=") for entry in merged) else (*merged, f"HOME={home}")


def namespaces(wanted: HostSettings, joined: Mapping[str, str], host: spec.Host) -> dict[str, str]:
    """As `spec.Bundle.namespaces`."""
    found = {"mount": ""}
    for kind in ("pid", "ipc", "network"):
        place = joined.get(kind, "")
        if place != "host":
            found[kind] = place
    if wanted.uts_mode != "host":
        found["uts"] = ""
    if (wanted.cgroupns_mode or ("private" if host.cgroup_v2 else "host")) == "private" and not (
        wanted.privileged and not wanted.cgroupns_mode
    ):
        found["cgroup"] = ""
    return found


def _mounts(container: Container, around: Surroundings) -> list[spec.Mount]:
    wanted = container.settings.host
    taken = {mount.target for mount in container.mounts}
    rights = "ro" if wanted.read_only else "rw"
    found = [
        spec.Mount(path, source, "bind", ("rbind", "rprivate", rights))
        for path, source in around.files.items()
        if path not in taken
    ]
    if wanted.init and around.init_program:
        found.append(spec.Mount(INIT_PATH, around.init_program, "bind", ("bind", "ro", "rprivate")))
    if (wanted.ipc_mode == "host" or around.joined.get("ipc") == "host") and "/dev/shm" not in taken:  # noqa: S108
        found.append(spec.Mount("/dev/shm", "/dev/shm", "bind", ("rbind", "rprivate")))  # noqa: S108
    return found + [mount_spec(mount) for mount in container.mounts]


def mount_spec(mount: MountPoint) -> spec.Mount:
    rights = "ro" if mount.read_only else "rw"
    if mount.kind == "tmpfs":
        return spec.Mount(mount.target, "tmpfs", "tmpfs", (*TMPFS_DEFAULTS, rights, *mount.options))
    return spec.Mount(mount.target, mount.source, "bind", ("rbind", rights, mount.propagation or "rprivate"))


def _root_propagation(mounts: Sequence[MountPoint]) -> str:
    """A shared or slave bind needs a root filesystem that lets it be one."""
    asked = {mount.propagation for mount in mounts}
    if asked & {"shared", "rshared"}:
        return "rshared"
    return "rslave" if asked & {"slave", "rslave"} else "rprivate"


def resources(wanted: HostSettings, *, swap_limits: bool) -> spec.Resources:
    limits = wanted.resources
    if wanted.nano_cpus:
        limits = replace(limits, cpu_period=_PERIOD, cpu_quota=wanted.nano_cpus * _PERIOD // 10**9)
    if not swap_limits:
        return replace(limits, memory_swap=None)
    if limits.memory and not limits.memory_swap:
        return replace(limits, memory_swap=limits.memory * 2)  # as Docker: as much swap again
    return limits


@dataclass(frozen=True, slots=True)
class Security:
    no_new_privileges: bool = False
    seccomp: str | dict[str, Any] = "default"
    system_paths: bool = False


def read_security(options: Iterable[str]) -> Security:
    """`--security-opt`. Raises INVALID for what is unknown or cannot be had here."""
    found = Security()
    for option in options:
        key, _, value = option.partition("=") if "=" in option else option.partition(":")
        if key == "no-new-privileges" and value in ("", "true", "false"):
            found = replace(found, no_new_privileges=value != "false")
        elif key == "seccomp":
            found = replace(found, seccomp=_seccomp(value))
        elif (key, value) == ("systempaths", "unconfined"):
            found = replace(found, system_paths=True)
        elif (key, value) in (("apparmor", "unconfined"), ("label", "disable")):
            pass  # neither confines here
        else:
            raise invalid(f'invalid --security-opt: "{option}" is not supported')
    return found


def _seccomp(value: str) -> str | dict[str, Any]:
    if value in ("unconfined", "default", "builtin"):
        return "unconfined" if value == "unconfined" else "default"
    try:
        profile = json.loads(value)
    except ValueError as error:
        raise invalid(f"Decoding seccomp profile failed: {error}") from None
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise invalid("Decoding seccomp profile failed: defaultAction is missing")
    if any(rule.get("includes") or rule.get("excludes") for rule in profile.get("syscalls", [])):
        raise invalid("seccomp profile: includes and excludes are not supported; write the rules for this host")
    names = ("defaultAction", "defaultErrnoRet", "architectures", "syscalls", "flags")
    return {name: profile[name] for name in names if profile.get(name) is not None}


def parse_device_rule(text: str) -> spec.DeviceRule:
    """`c 42:* rmw`. Raises INVALID with Docker's sentence."""
    try:
        kind, numbers, access = text.split()
        major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
        if kind not in ("a", "b", "c") or not access or set(access) - set("rwm"):
            raise ValueError
    except ValueError:
        raise invalid(f"invalid device cgroup rule format: '{text}'") from None
    return spec.DeviceRule(kind, major, minor, access)
