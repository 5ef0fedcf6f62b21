"""From a container to its runtime specification, pure: namespaces, mounts, limits, security as they were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from riad.engine.containers import sources, spec
from riad.engine.containers.capabilities import effective
from riad.engine.containers.merge import merge_env
from riad.engine.containers.model import Container, HostSettings, MountPoint
from riad.engine.containers.mounting import TMPFS_DEFAULTS
from riad.engine.containers.remap import Remap, locked_flags
from riad.engine.containers.security import Security, read_security
from riad.engine.containers.user import Account
from riad.engine.host import cdi
from riad.engine.host.apparmor import DEFAULT as APPARMOR_DEFAULT
from riad.engine.host.devices import Node
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
    mounts: tuple[MountPoint, ...] = ()
    """The container's, with sources that the runtime can mount."""
    devices: tuple[Node, ...] = ()
    init_program: str | None = None
    swap_limits: bool = False
    shm: str = ""
    remap: Remap | None = None
    edits: cdi.Edits = cdi.Edits()  # noqa: RUF009 -- frozen
    """What the devices of the Container Device Interface need."""
    links: tuple[str, ...] = ()
    """Variables that `--link` adds."""
    """The host's folder for /dev/shm where several containers share it."""


def bundle(container: Container, around: Surroundings, host: spec.Host) -> spec.Bundle:
    """Raises INVALID for security options that make no sense."""
    settings = container.settings
    wanted = settings.host
    security = read_security(wanted.security)
    unconfined = security.system_paths or wanted.privileged
    process_ = process(container, around, host)
    return spec.Bundle(
        root=around.root,
        process=process_,
        namespaces=namespaces(wanted, around.joined, host),
        cgroup=around.group,
        hostname=settings.hostname,
        domainname=settings.domainname if wanted.uts_mode != "host" else "",
        read_only=wanted.read_only,
        mounts=tuple(_mounts(container, around, host)),
        shm_size=wanted.shm_size,
        resources=resources(wanted, swap_limits=around.swap_limits),
        devices=tuple(spec.Device(*node[:6]) for node in around.devices if not _bound(node, around)),
        device_rules=(
            *(parse_device_rule(text) for text in wanted.device_rules),
            *(_rule(node) for node in around.devices if _bound(node, around)),
        ),
        sysctls=wanted.sysctls,
        masked_paths=() if unconfined else _or(wanted.masked_paths, spec.MASKED_PATHS),
        readonly_paths=() if unconfined else _or(wanted.readonly_paths, spec.READONLY_PATHS),
        seccomp=_seccomp(security, process_.capabilities, host),
        writable_cgroups=security.writable_cgroups,
        shm=wanted.ipc_mode != "none",
        privileged=wanted.privileged,
        propagation=_root_propagation(container.mounts),
        hooks=around.edits.hooks,
        id_map=around.remap.mapping if around.remap else None,
    )


def _bound(node: Node, around: Surroundings) -> bool:
    """In a user namespace nobody makes devices: the runtime binds those of the host that have the same name there."""
    return around.remap is not None and node.source not in ("", node.path)


def _rule(node: Node) -> spec.DeviceRule:
    return spec.DeviceRule(node.kind, node.major, node.minor, node.access)


def _user(around: Surroundings) -> spec.User:
    user = around.account.user
    return replace(user, groups=(*user.groups, *around.edits.groups))


def _or(given: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if given is None else given


def _seccomp(security: Security, capabilities: Iterable[str], host: spec.Host) -> str | spec.Json:
    if isinstance(security.seccomp, str):
        return security.seccomp
    return security.seccomp.narrowed(capabilities=frozenset(capabilities), arch=host.arch, kernel=host.kernel)


def apparmor(wanted: HostSettings, host: spec.Host) -> str:
    """The profile that confines the process; "" where the host has none to give."""
    if not host.apparmor:
        return ""
    return read_security(wanted.security).apparmor or ("unconfined" if wanted.privileged else APPARMOR_DEFAULT)


def process(container: Container, around: Surroundings, host: spec.Host) -> spec.Process:
    settings, wanted = container.settings, container.settings.host
    init = (INIT_PATH, "--") if wanted.init else ()
    height, width = (*wanted.console_size, 0, 0)[:2]
    return spec.Process(
        args=(*init, *container.command),
        env=environment(container, home=around.account.home, links=around.links, extra=around.edits.env),
        cwd=settings.config.working_dir or "/",
        user=_user(around),
        terminal=settings.tty,
        console_size=(height, width) if height and width else None,
        capabilities=effective(
            add=wanted.cap_add, drop=wanted.cap_drop, privileged=wanted.privileged, bounding=around.bounding
        ),
        no_new_privileges=read_security(wanted.security).no_new_privileges,
        apparmor=apparmor(wanted, host),
        limits=wanted.ulimits,
        oom_score_adj=wanted.oom_score_adj or None,
    )


def environment(
    container: Container, *, home: str, extra: Iterable[str] = (), links: Iterable[str] = (), tty: bool | None = None
) -> tuple[str, ...]:
    """PATH, HOSTNAME, TERM and HOME where nobody has said otherwise, as Docker sets them."""
    settings = container.settings
    terminal = settings.tty if tty is None else tty
    defaults = (spec.DEFAULT_PATH, f"HOSTNAME={settings.hostname}", *(["TERM=xterm"] if terminal else []))
    merged = merge_env((*defaults, *links), (*settings.config.env, *extra))
    return merged if any(entry.startswith("HOME=") for entry in merged) else (*merged, f"HOME={home}")


def namespaces(wanted: HostSettings, joined: Mapping[str, str], host: spec.Host) -> dict[str, str]:
    """As `spec.Bundle.namespaces`."""
    found = {"mount": ""}
    if user := joined.get("user"):
        found["user"] = user
    for kind in ("pid", "ipc", "network"):
        place = joined.get(kind, "")
        if place != "host":
            found[kind] = place
    if wanted.uts_mode != "host":
        found["uts"] = ""
    if cgroupns_mode(wanted, host) == "private":
        found["cgroup"] = ""
    return found


def cgroupns_mode(wanted: HostSettings, host: spec.Host) -> str:
    """private or host; a tree of the second version is its own for each container unless it asked for the host's."""
    return wanted.cgroupns_mode or ("private" if host.cgroup_v2 else "host")


def _mounts(container: Container, around: Surroundings, host: spec.Host) -> list[spec.Mount]:
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
    shared = "/dev/shm" if around.joined.get("ipc") == "host" else around.shm  # noqa: S108 -- a path in the container
    if shared and "/dev/shm" not in taken:  # noqa: S108
        found.append(spec.Mount("/dev/shm", shared, "bind", ("rbind", "rprivate")))  # noqa: S108
    found += [mount_spec(mount, host) for mount in around.mounts]
    found += [spec.Mount(n.path, n.source, "bind", ("bind", "rprivate")) for n in around.devices if _bound(n, around)]
    found += [spec.Mount(mount.path, mount.source, mount.kind, mount.options) for mount in around.edits.mounts]
    return [_locked(mount) for mount in found] if around.remap else found


def _locked(mount: spec.Mount) -> spec.Mount:
    """In a user namespace a bind keeps the flags of what it binds; leaving one out is refused by the kernel."""
    if mount.kind != "bind":
        return mount
    kept = [flag for flag in locked_flags(mount.source) if flag not in mount.options]
    given = [option for option in mount.options if not (option == "rw" and "ro" in kept)]
    return replace(mount, options=(*given, *kept))


def mount_spec(mount: MountPoint, host: spec.Host) -> spec.Mount:
    if mount.kind == "tmpfs":
        rights = "ro" if mount.read_only else "rw"
        return spec.Mount(mount.target, "tmpfs", "tmpfs", (*TMPFS_DEFAULTS, rights, *mount.options))
    options = (*sources.rights(mount, host.kernel), mount.propagation or "rprivate")
    return spec.Mount(mount.target, mount.source, "bind", options)


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
