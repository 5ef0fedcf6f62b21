"""The engines that Riad is measured and tested beside: dockerd (Debian 13's) and podman, in rooms of their own.

    python bench/peers.py fetch                     unpacks the packages into `.cache/peers`; nothing is installed
    python bench/peers.py run dockerd -- COMMAND    runs COMMAND beside a fresh dockerd, with DOCKER_HOST set to it
    python bench/peers.py room -- COMMAND           runs COMMAND in a room; engines that it starts share that room

A room is a network, mount and process namespace: an engine in it sees a host without other engines, its firewall rules
are nobody else's, and all of it ends with the room's first process. Control groups are the host's own: each engine gets
a parent group, removed at the end. Nothing of the product depends on this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "peers"
_TRIXIE = "docker.io", "containerd", "docker-buildx", "docker-compose"
_HOST = "podman", "netavark", "aardvark-dns"
_DEADLINE = 60.0
_IN_ROOM = "RIAD_ROOM"
_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation=private"]

# A host of its own: loopback up, forwarding on, and a /sys that shows this network, with the host's control groups.
_ROOM = """set -e
ip link set lo up
mkdir -p "$0/cgroup"; mount --rbind /sys/fs/cgroup "$0/cgroup"
mount -t sysfs sysfs /sys; mount --rbind "$0/cgroup" /sys/fs/cgroup; umount -l "$0/cgroup"
echo 1 > /proc/sys/net/ipv4/ip_forward
exec catatonit -- "$@"
"""


class AbsentError(Exception):
    """An engine cannot be had here; says what is missing."""


def fetch() -> Path:
    """Unpacks Debian 13's Docker by an apt of its own, and this Debian's podman. Returns the root."""
    root = CACHE / "root"
    if (CACHE / "complete").exists():
        return root
    debs = CACHE / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "APT_CONFIG": str(_trixie())}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
    subprocess.run(["apt-get", "download", "-qq", *_TRIXIE], cwd=debs, env=environment, check=True)
    subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", *_HOST], cwd=debs, check=True)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    shutil.rmtree(debs)
    (CACHE / "complete").touch()
    return root


def _trixie() -> Path:
    """The configuration of an apt that knows Debian 13 and nothing of this host."""
    apt = CACHE / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keys}] http://deb.debian.org/debian trixie main\n")
    lines = {
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt,
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    (apt / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in lines.items()))
    return apt / "apt.conf"


def plugins() -> dict[str, Path]:
    """The docker CLI's plugins that were fetched, `{"buildx": path, "compose": path}`; empty where nothing was."""
    folder = CACHE / "root/usr/libexec/docker/cli-plugins"
    return {path.name.removeprefix("docker-"): path for path in folder.glob("docker-*")}


@dataclass(slots=True)
class Peer:
    """A running engine in its room."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    init: int
    """The room's first process; `nsenter --net=/proc/INIT/ns/net` enters its network."""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.folder / "engine.sock"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def processes(self) -> list[int]:
        """All that live in the room."""
        room = os.readlink(f"/proc/{self.init}/ns/pid")
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _pid_namespace(pid) == room]

    def daemons(self) -> list[int]:
        """The room's processes that are the engine and its helpers: those outside containers, without the init."""
        return [pid for pid in self.processes() if pid != self.init]

    def stop(self) -> None:
        """Ends the engine and its containers: with its room, or one by one in a room that it shares."""
        os.kill(self.init, signal.SIGTERM if _IN_ROOM in os.environ else signal.SIGKILL)
        self.process.wait(_DEADLINE)
        for _ in range(100):
            if _without_groups(self.name):
                break
            time.sleep(0.05)


def _pid_namespace(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def _group(name: str) -> str:
    return f"riadpeer-{name}-{os.getpid()}"


def _without_groups(name: str) -> bool:
    tops = [*Path("/sys/fs/cgroup").glob(_group(name)), *Path("/sys/fs/cgroup").glob(f"*/{_group(name)}")]
    for top in tops:
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    return not any(top.exists() for top in tops)


def _dockerd(folder: Path) -> tuple[list[str], dict[str, str]]:
    root = _fetched("dockerd")
    (folder / "daemon.json").write_text("{}")
    command = [
        str(root / "usr/sbin/dockerd"),
        f"--config-file={folder}/daemon.json",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/run",
        f"--pidfile={folder}/pid",
        f"--host=unix://{folder}/engine.sock",
        f"--cgroup-parent=/{_group('dockerd')}",
        "--init-path=" + (shutil.which("catatonit") or ""),
    ]
    return command, {"PATH": f"{root}/usr/sbin:{root}/usr/bin:{os.environ['PATH']}"}


def _podman(folder: Path) -> tuple[list[str], dict[str, str]]:
    root = _fetched("podman")
    (folder / "home/.config/containers").mkdir(parents=True)
    (folder / "home/.config/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (folder / "containers.conf").write_text(
        f'[engine]\nhelper_binaries_dir = ["{root}/usr/lib/podman"]\nevents_logger = "file"\nruntime = "runc"\n'
        f'cgroup_manager = "cgroupfs"\n[network]\nnetwork_backend = "netavark"\n'
        f'network_config_dir = "{folder}/networks"\n[containers]\nlog_driver = "k8s-file"\n'
        f'cgroups = "enabled"\n'
    )
    places = [f"--root={folder}/data", f"--runroot={folder}/run", f"--tmpdir={folder}/tmp"]
    service = ["system", "service", "--time=0", f"unix://{folder}/engine.sock"]
    command = [str(root / "usr/bin/podman"), *places, *service]
    return command, {"CONTAINERS_CONF": f"{folder}/containers.conf", "HOME": f"{folder}/home"}


def _riad(folder: Path) -> tuple[list[str], dict[str, str]]:
    places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/run", "--host", f"unix://{folder}/engine.sock"]
    return [sys.executable, "-m", "riad.cli.main", "engine", *places], {"PYTHONPATH": os.pathsep.join(sys.path)}


KINDS = {"riad": _riad, "dockerd": _dockerd, "podman": _podman}


def _fetched(name: str) -> Path:
    if not (CACHE / "complete").exists():
        raise AbsentError(f"{name} is not there: python bench/peers.py fetch")
    return CACHE / "root"


@contextlib.contextmanager
def running(name: str) -> Iterator[Peer]:
    """A fresh engine of `KINDS`, answering. Raises AbsentError where it cannot be had."""
    folder = Path(tempfile.mkdtemp(prefix=f"rp-{name}-"))
    peer = None
    try:
        command, environment = KINDS[name](folder)
        peer = _enter(name, folder, command, environment)
        yield peer
    finally:
        if peer is not None:
            peer.stop()
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(folder) in line.split()[4]:
                subprocess.run(["umount", "--lazy", line.split()[4]], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _enter(name: str, folder: Path, command: Sequence[str], environment: dict[str, str]) -> Peer:
    shared = _IN_ROOM in os.environ
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command if shared else _in_room(folder, command),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    until = time.monotonic() + _DEADLINE
    while not _answers(folder / "engine.sock"):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AbsentError(f"{name} did not start:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
    init = process.pid if shared else _first_child(process.pid)
    (folder / "client").mkdir()
    (folder / "client/config.json").write_text(
        json.dumps({"cliPluginsExtraDirs": [str(path.parent) for path in list(plugins().values())[:1]]})
    )
    environ = {**os.environ, "DOCKER_HOST": f"unix://{folder}/engine.sock", "DOCKER_CONFIG": str(folder / "client")}
    return Peer(name, folder, process, init, environ)


def _in_room(folder: Path, command: Sequence[str]) -> list[str]:
    return [*_UNSHARE, "sh", "-c", _ROOM, str(folder), *command]


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.settimeout(5)
            probe.connect(str(path))
            probe.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b" 200 " in probe.recv(100)
        except OSError:
            return False


def main(arguments: list[str]) -> int:
    if arguments == ["fetch"]:
        print(fetch())
        return 0
    if len(arguments) > 3 and arguments[0] == "run" and arguments[1] in KINDS and arguments[2] == "--":
        with running(arguments[1]) as peer:
            inside = ["nsenter", f"--net=/proc/{peer.init}/ns/net", *arguments[3:]]
            return subprocess.run(inside, env=peer.environ, check=False).returncode
    if len(arguments) > 2 and arguments[:2] == ["room", "--"]:
        with tempfile.TemporaryDirectory(prefix="rp-room-") as folder:
            environment = {**os.environ, _IN_ROOM: "1"}
            return subprocess.run(_in_room(Path(folder), arguments[2:]), env=environment, check=False).returncode
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
