"""Control groups: which layout, and whether every limit that containers can be given exists."""

from __future__ import annotations

from collections.abc import Iterator

from riad.engine.doctor.findings import Finding, good, note, problem, warning
from riad.engine.host import cgroups

_V2 = {"cpu": "--cpus", "memory": "--memory", "pids": "--pids-limit", "io": "--blkio-weight", "cpuset": "--cpuset-cpus"}
_V1 = {
    "cpu": "--cpus",
    "cpuacct": "docker stats",
    "memory": "--memory",
    "pids": "--pids-limit",
    "blkio": "--blkio-weight",
    "cpuset": "--cpuset-cpus",
    "devices": "--device",
    "freezer": "docker pause",
}
_NEEDED = frozenset({"devices", "freezer"})


def findings() -> Iterator[Finding]:
    if not cgroups.ROOT.is_dir() or not any(cgroups.ROOT.iterdir()):
        yield problem("control groups", f"{cgroups.ROOT} is not mounted", f"mount -t cgroup2 cgroup2 {cgroups.ROOT}")
        return
    v2 = cgroups.layout() is cgroups.Layout.V2
    hybrid = (cgroups.ROOT / "unified").is_dir()
    yield layout(v2=v2, hybrid=hybrid)
    yield from controllers(cgroups.controllers(), v2=v2)
    if not cgroups.counts_swap():
        yield note(
            "swap limits",
            "the kernel does not count swap per group",
            "boot with swapaccount=1 where --memory-swap matters",
        )


def layout(*, v2: bool, hybrid: bool) -> Finding:
    if v2:
        return good("control groups", "v2")
    how = "v1 with an empty v2 tree beside (hybrid)" if hybrid else "v1"
    return note(
        "control groups", how, "works; v2 (boot with systemd.unified_cgroup_hierarchy=1) lets crun start faster"
    )


def controllers(found: frozenset[str], *, v2: bool) -> Iterator[Finding]:
    wanted = _V2 if v2 else _V1
    missing = [name for name in wanted if name not in found]
    for name in missing:
        way_out = (
            f"boot with cgroup_enable={name}"
            if name == "memory"
            else f"use a kernel with the {name} controller mounted"
        )
        make = problem if name in _NEEDED else warning
        yield make("controllers", f"{name} is missing: {wanted[name]} does not work", way_out)
    if not missing:
        yield good("controllers", ", ".join(sorted(wanted)))
