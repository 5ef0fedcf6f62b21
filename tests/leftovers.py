"""A test run leaves nothing behind: what is left over fails the run, is named, and is taken away.

A run has a folder of its own, and that folder is TMPDIR of all it starts. So a process with that TMPDIR, a mount below
it and a file in it are this run's for certain, also when other runs and engines share the host. What the kernel names
after engines (links, nft tables, control groups) counts when it came during the run, stays, and belongs to no engine of
anybody else's that is alive. The folder of a run that was killed is cleared by the next run; a lock tells them apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PREFIX = "riad-tests-"
_PATIENCE = 10.0
"""Seconds that what has been told to end may take."""
_CGROUPS = Path("/sys/fs/cgroup")
_DEFAULT_ENGINE = "/var/lib/riad/engine"


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/lock"):
        with contextlib.suppress(OSError), _locked(lock.parent):
            clear(lock.parent)
    config.pluginmanager.register(Run(config), "leftovers-run")


class Run:
    """The run that this process leads (not its workers)."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(_locked(self._folder))
        self._before = set(named_by_engines())
        self._left: list[str] = []
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # as Ctrl-C: fixtures and this are still asked to tidy
        os.environ["TMPDIR"] = str(self._folder)
        os.environ["PATH"] += f":{Path(sys.executable).parent}"  # script/bootstrap puts the docker client there
        tempfile.tempdir = None
        if config.option.basetemp is None:
            config.option.basetemp = str(self._folder / "t")  # short: the names of unix sockets are

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._left = self._look()
        if self._left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left:
            terminalreporter.section("left behind by this run", red=True)
            for line in self._left:
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        clear(self._folder)
        self._lock.close()

    def _look(self) -> list[str]:
        """What is there at every look until the patience is over."""
        left = set(self._now())
        until = time.monotonic() + _PATIENCE
        while left and time.monotonic() < until:
            time.sleep(0.1)
            left &= set(self._now())
        return sorted(left)

    def _now(self) -> Iterator[str]:
        yield from (f"process {pid}: {words}" for pid, words in processes(self._folder).items())
        yield from (f"mount {target}" for target in mounts(self._folder))
        yield from (f"file {path}" for path in self._folder.iterdir() if path.name not in ("t", "lock"))
        new = set(named_by_engines()) - self._before
        yield from new - set(of_others(new, self._folder))


def processes(folder: Path) -> dict[int, str]:
    """Process id → command of what has `folder` as TMPDIR or in its command, and of all that descends from those.

    Containers do not have the run's environment, but descend from a conmon that is told where its files are.
    """
    mark, below = b"\0TMPDIR=%b\0" % os.fsencode(folder), f"{folder}/"
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    commands = {pid: _words(pid) for pid in parents}
    found = {pid for pid in parents if below in commands[pid] or mark in _environment(pid)} - {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: commands[pid] for pid in sorted(found)}


def mounts(folder: Path) -> list[str]:
    """The places below `folder` where something is mounted, innermost first."""
    targets = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted((target for target in targets if target.startswith(f"{folder}/")), reverse=True)


def named_by_engines() -> Iterator[str]:
    """`link NAME`, `table FAMILY NAME` and `cgroup NAME` of all engines of the host."""
    names = (link.name for link in Path("/sys/class/net").iterdir())
    yield from (f"link {name}" for name in names if name.startswith(("riad-", "br-", "rv")))
    tables = (line.split() for line in _said("nft", "list", "tables").splitlines())
    yield from (f"table {family} {name}" for _, family, name in tables if name.startswith("riad_"))
    for pattern in ("riad-*", "*/riad-*"):  # one hierarchy, or one for each controller
        yield from {f"cgroup {path.name}" for path in _CGROUPS.glob(pattern) if path.is_dir()}


def of_others(names: set[str], folder: Path) -> Iterator[str]:
    """Those of `names` that belong to an engine that lives and was not started with `folder` as TMPDIR."""
    mine = processes(folder)
    theirs = {_instance(_DEFAULT_ENGINE)} | {i for pid in _pids() if pid not in mine for i in instances(_words(pid))}
    theirs_by_name = {name for name in names if any(instance[:6] in name for instance in theirs)}
    yield from theirs_by_name
    bridges = {name for name in names - theirs_by_name if name.startswith("link br-")}  # named after networks
    for table, rules in _tables(_said("nft", "list", "ruleset")) if bridges else ():
        if table not in names - theirs_by_name:
            yield from (name for name in bridges if f'"{name.split()[1]}"' in rules)


def instances(words: str) -> Iterator[str]:
    """What an engine names its things by: a digest of a folder in its command, or above one in its helpers'."""
    for word in words.split():
        path = word[word.find("/") :] if "/" in word else ""
        for folder in (path, *map(str, Path(path).parents)) if path else ():
            yield _instance(folder)
            yield _instance(f"{folder}/data")  # helpers may only know the folder for what runs


def clear(folder: Path) -> None:
    """Ends and removes all that is certainly of the run in `folder`."""
    left = processes(folder)
    mine = {instance for words in left.values() for instance in instances(words)}
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: not processes(folder))
    for target in mounts(folder):
        _said("umount", "--lazy", target)
    for name in set(named_by_engines()) if mine else ():
        if any(instance[:6] in name for instance in mine):
            _remove(*name.split())
    shutil.rmtree(folder, ignore_errors=True)


def _remove(kind: str, *name: str) -> None:
    if kind == "link":
        _said("ip", "link", "delete", *name)
    elif kind == "table":
        _said("nft", "delete", "table", *name)
    else:
        for pattern in name[0], f"*/{name[0]}":
            for top in _CGROUPS.glob(pattern):
                for path, _, _ in os.walk(top, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(path)


def _tables(rules: str) -> Iterator[tuple[str, str]]:
    """`table FAMILY NAME` and its text, of what `nft list ruleset` says."""
    for piece in f"\n{rules}".split("\ntable ")[1:]:
        head, _, text = piece.partition("{")
        yield f"table {head.strip()}", text


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError while another process has it. The lock ends with its process."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _instance(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int | None:
    """None for what has ended, and for zombies, which their parents owe us and not the run."""
    with contextlib.suppress(OSError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return int(parent) if state != "Z" else None
    return None


def _environment(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _said(*command: str) -> str:
    """What it printed; nothing where it failed or is not installed (then nothing of its kind was made either)."""
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
    return ""


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
