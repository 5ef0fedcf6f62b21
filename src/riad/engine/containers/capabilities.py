"""Linux capabilities: Docker's default set, adding and dropping, and what this process may hand on at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from riad.kernel.faults import invalid

_EVERY = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE "
)
_USUAL = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE "
)

ALL = tuple("CAP_" + name for name in _EVERY.split())
"""In the order of their numbers (capabilities(7))."""

DEFAULT = frozenset("CAP_" + name for name in _USUAL.split())


def normalized(names: Iterable[str], *, field: str) -> frozenset[str]:
    """`net_admin`, `CAP_NET_ADMIN`, `ALL` → canonical names. Raises INVALID with Docker's sentence, naming `field`."""
    found = set()
    for name in names:
        upper = name.upper()
        canonical = upper if upper == "ALL" or upper.startswith("CAP_") else "CAP_" + upper
        if canonical != "ALL" and canonical not in ALL:
            raise invalid(f'invalid {field}: unknown capability: "{canonical}"')
        found.add(canonical)
    return frozenset(found)


def effective(
    *, add: Collection[str] = (), drop: Collection[str] = (), privileged: bool = False, bounding: Collection[str] = ALL
) -> tuple[str, ...]:
    """The set a container gets, in the order of the numbers, never more than `bounding` allows."""
    added, dropped = normalized(add, field="CapAdd"), normalized(drop, field="CapDrop")
    if privileged:
        wanted = frozenset(ALL)
    elif "ALL" in added:
        wanted = frozenset(ALL) - dropped
    elif "ALL" in dropped:
        wanted = added
    else:
        wanted = (DEFAULT | added) - dropped
    return tuple(name for name in ALL if name in wanted and name in bounding)


def bounding_set() -> frozenset[str]:
    """What this process may hand on to containers."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(ALL) if mask >> number & 1)
    return frozenset()
