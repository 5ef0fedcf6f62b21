"""The nouns: a container, what it was asked to be, and where it is in its life."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit, Resources
from riad.engine.networks.model import EndpointWish, PortBinding
from riad.kernel.faults import Fault, Kind
from riad.oci.config import ContainerConfig

_NO_LIMITS = Resources()


class Phase(enum.Enum):
    """Where a container is in its life. Docker's Running, Paused, Restarting and Dead are computed from it."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    """Ended; its restart policy will start it again after a while."""
    EXITED = "exited"
    REMOVING = "removing"

    @property
    def alive(self) -> bool:
        """Processes of it may exist."""
        return self in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED)


_NEXT: Mapping[Phase, frozenset[Phase]] = {
    Phase.CREATED: frozenset({Phase.STARTING, Phase.REMOVING}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.CREATED, Phase.EXITED, Phase.RESTARTING}),
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.EXITED, Phase.RESTARTING}),
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.EXITED, Phase.RESTARTING}),
    Phase.RESTARTING: frozenset({Phase.STARTING, Phase.EXITED, Phase.RESTARTING}),
    Phase.EXITED: frozenset({Phase.STARTING, Phase.REMOVING, Phase.RESTARTING}),
    Phase.REMOVING: frozenset(),
}


def check_transition(before: Phase, after: Phase) -> None:
    """Raises CONFLICT for a step that the table of a container's life does not have."""
    if before is not after and after not in _NEXT[before]:
        raise Fault(Kind.CONFLICT, f"a container that is {before.value} cannot become {after.value}")


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`name`: no, always, unless-stopped or on-failure; `maximum` restarts after failures, 0 = any number."""

    name: str = "no"
    maximum: int = 0


@dataclass(frozen=True, slots=True)
class MountWish:
    """One thing to mount, as asked: `--mount`, `-v` or `--tmpfs`, or a volume of the image.

    `kind` is bind, volume or tmpfs. An empty `source` of a volume is an anonymous one. Sizes are bytes, 0 = no limit.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    propagation: str = ""
    create_source: bool = False
    no_copy: bool = False
    subpath: str = ""
    recursion: str = ""
    """What happens to mounts inside a bound folder: "" (they come along, read-only too where that can be had), none,
    writable (they stay writable), readonly (an error where they cannot be made so)."""
    options: tuple[str, ...] = ()
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    """What stood after the last colon of `-v`, for clients to read back."""


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A mount of one container with its source settled: a folder, or a volume's name and folder."""

    kind: str
    target: str
    source: str = ""
    volume: str = ""
    driver: str = ""
    read_only: bool = False
    propagation: str = ""
    no_copy: bool = False
    options: tuple[str, ...] = ()
    mode: str = ""
    subpath: str = ""
    recursion: str = ""


@dataclass(frozen=True, slots=True)
class DeviceWish:
    host_path: str
    path: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class LogWish:
    driver: str = "json-file"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a container may have of its host. Empty texts and None: the engine's default."""

    binds: tuple[str, ...] = ()
    mounts: tuple[MountWish, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    volumes_from: tuple[str, ...] = ()
    volume_driver: str = ""
    network_mode: str = "default"
    ports: tuple[PortBinding, ...] = ()
    publish_all: bool = False
    restart: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroupns_mode: str = ""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ipc_mode: str = ""
    pid_mode: str = ""
    uts_mode: str = ""
    userns_mode: str = ""
    oom_score_adj: int = 0
    privileged: bool = False
    read_only: bool = False
    security: tuple[str, ...] = ()
    shm_size: int = DEFAULT_SHM_SIZE
    sysctls: Mapping[str, str] = field(default_factory=dict)
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool = False
    log: LogWish = LogWish()
    runtime: str = ""
    container_id_file: str = ""
    console_size: tuple[int, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = _NO_LIMITS
    nano_cpus: int = 0
    ulimits: tuple[Limit, ...] = ()
    devices: tuple[DeviceWish, ...] = ()
    device_rules: tuple[str, ...] = ()
    cgroup_parent: str = ""
    links: tuple[str, ...] = ()
    """As given: NAME or NAME:ALIAS."""
    cdi_devices: tuple[str, ...] = ()
    """VENDOR/CLASS=NAME of the Container Device Interface."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was asked for at creation, with the image's defaults filled in (`config`)."""

    image: str
    config: ContainerConfig
    host: HostSettings = HostSettings()
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    networks: Mapping[str, EndpointWish] = field(default_factory=dict)
    mac: str = ""
    """`MacAddress` of the container itself, as clients before networks had their own sent it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the container's process, the present or the last. Process numbers are 0 when nothing runs."""

    pid: int = 0
    conmon_pid: int = 0
    conmon_ticks: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    id: str
    name: str
    created: datetime
    image_id: str
    settings: Settings
    phase: Phase = Phase.CREATED
    run: Run = Run()
    layers: tuple[str, ...] = ()
    """The image's, bottom first: held for the container, even if the image itself is removed."""
    mounts: tuple[MountPoint, ...] = ()
    restart_count: int = 0
    stopped_by_user: bool = False

    @property
    def labels(self) -> Mapping[str, str]:
        return self.settings.config.labels

    @property
    def command(self) -> tuple[str, ...]:
        """Entrypoint and arguments together: what runs."""
        return (*(self.settings.config.entrypoint or ()), *(self.settings.config.cmd or ()))
