"""The kernel: its version, and the features that containers stand on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from riad.engine.doctor.findings import Finding, good, note, problem, warning
from riad.engine.host import facts

OLDEST, RECOMMENDED = (5, 3), (5, 11)
"""pidfd_open(2) came with 5.3; overlayfs' user.* attributes and better volatile mounts with 5.11."""
_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")


def findings() -> Iterator[Finding]:
    yield version(facts.kernel(), os.uname().release)
    there = {path.name for path in Path("/proc/self/ns").iterdir()}
    yield namespaces(there)
    if "user" not in there:
        yield note("user namespaces", "missing in this kernel", "--userns cannot be used; nothing else needs them")
    yield overlay(Path("/proc/filesystems").read_text())
    yield seccomp(Path("/proc/self/status").read_text())
    yield from security_modules(Path("/sys"))


def version(found: tuple[int, int], text: str) -> Finding:
    if found < OLDEST:
        return problem("kernel", f"{text} is too old", f"the engine needs Linux {OLDEST[0]}.{OLDEST[1]} or later")
    if found < RECOMMENDED:
        return note("kernel", text, f"Linux {RECOMMENDED[0]}.{RECOMMENDED[1]} or later is recommended")
    return good("kernel", text)


def namespaces(there: set[str]) -> Finding:
    missing = [name for name in _NAMESPACES if name not in there]
    if missing:
        return problem("namespaces", f"missing: {', '.join(missing)}", "use a kernel that has them (CONFIG_NAMESPACES)")
    return good("namespaces", ", ".join(_NAMESPACES))


def overlay(filesystems: str) -> Finding:
    if "overlay" in filesystems.split():
        return good("overlayfs", "in the kernel")
    return problem("overlayfs", "not loaded", "modprobe overlay, and name it in /etc/modules-load.d/overlay.conf")


def seccomp(status: str) -> Finding:
    if "\nSeccomp:" in status:
        return good("seccomp", "in the kernel")
    return problem("seccomp", "missing", "use a kernel with CONFIG_SECCOMP_FILTER: containers are confined by it")


def security_modules(sys: Path) -> Iterator[Finding]:
    try:
        enforcing = (sys / "fs/selinux/enforce").read_text().strip() == "1"
    except OSError:
        enforcing = False
    if enforcing:
        yield warning(
            "SELinux",
            "enforcing",
            "the engine labels no files: bind mounts may be refused; setenforce 0, or label them container_file_t",
        )
    try:
        apparmor = (sys / "module/apparmor/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        apparmor = False
    yield good("AppArmor", "enabled" if apparmor else "absent")
