"""What the doctor concludes from what it finds; each finding that is not good says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from riad.engine.doctor import control, disk, kernel, limits, network, programs
from riad.engine.doctor.findings import Finding, Level

GIB = 1024**3
MOUNTS = "/dev/a / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nnas:/x /data nfs4 rw 0 0\noverlay /data/in overlay rw 0 0\n"


def levels(findings: object) -> list[Level]:
    found = list(findings)  # type: ignore[call-overload]
    assert all(finding.advice for finding in found if finding.level is not Level.GOOD)
    return [finding.level for finding in found]


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (kernel.version((5, 2), "5.2.0"), Level.PROBLEM),
        (kernel.version((5, 4), "5.4.0"), Level.NOTE),
        (kernel.version((6, 1), "6.1.0"), Level.GOOD),
        (kernel.namespaces({"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"}), Level.GOOD),
        (kernel.namespaces({"mnt"}), Level.PROBLEM),
        (kernel.overlay("nodev\tproc\nnodev\toverlay\n"), Level.GOOD),
        (kernel.overlay("nodev\toverlayfs2\n"), Level.PROBLEM),
        (kernel.seccomp("Name:\tx\nSeccomp:\t0\n"), Level.GOOD),
        (kernel.seccomp("Name:\tx\n"), Level.PROBLEM),
        (control.layout(v2=True, hybrid=False), Level.GOOD),
        (control.layout(v2=False, hybrid=True), Level.NOTE),
        (programs.conmon(None), Level.PROBLEM),
        (programs.conmon("conmon version 2.0.1"), Level.WARNING),
        (programs.conmon("conmon version 2.1.12"), Level.GOOD),
        (programs.nft(library=False, program=False), Level.PROBLEM),
        (programs.nft(library=False, program=True), Level.NOTE),
        (programs.init(set()), Level.NOTE),
        (disk.filesystem("nfs4", Path("/d")), Level.PROBLEM),
        (disk.filesystem("overlay", Path("/d")), Level.PROBLEM),
        (disk.filesystem("tmpfs", Path("/d")), Level.WARNING),
        (disk.filesystem("xfs", Path("/d")), Level.GOOD),
        (disk.space(GIB // 8, 10 * GIB, Path("/d")), Level.PROBLEM),
        (disk.space(GIB, 10 * GIB, Path("/d")), Level.WARNING),
        (disk.space(90 * GIB, 100 * GIB, Path("/d")), Level.GOOD),
        (disk.inodes(500, 10**6, Path("/d")), Level.WARNING),
        (network.forwarding("0"), Level.NOTE),
        (network.forwarding(None), Level.NOTE),
        (limits.files(1024), Level.WARNING),
        (limits.files(-1), Level.GOOD),
        (limits.clock(0.0), Level.PROBLEM),
    ],
)
def test_a_finding_has_its_level_and_its_way_out(finding: Finding, level: Level) -> None:
    assert levels([finding]) == [level]


def test_missing_controllers_are_named_with_what_does_not_work_then() -> None:
    found = list(control.controllers(frozenset({"cpu", "cpuset", "io"}), v2=True))
    assert [finding.found for finding in found] == [
        "memory is missing: --memory does not work",
        "pids is missing: --pids-limit does not work",
    ]
    assert levels(control.controllers(frozenset({"cpu", "cpuset", "io", "memory", "pids"}), v2=True)) == [Level.GOOD]


@pytest.mark.parametrize(
    ("versions", "v2", "wanted"),
    [
        ({"crun": "crun version 1.8", "runc": None}, True, [Level.GOOD]),
        ({"crun": "crun version 1.8", "runc": None}, False, [Level.PROBLEM]),
        ({"crun": None, "runc": "runc version 1.1.5"}, False, [Level.GOOD]),
        ({"crun": "", "runc": "runc version 1.1.5"}, True, [Level.WARNING, Level.GOOD]),
        ({"crun": None, "runc": "runc version 0.9"}, True, [Level.WARNING]),
        ({"crun": None, "runc": None}, True, [Level.PROBLEM]),
    ],
)
def test_a_runtime_counts_where_it_works(versions: dict[str, str | None], v2: bool, wanted: list[Level]) -> None:
    assert levels(programs.runtimes(versions, v2=v2)) == wanted


@pytest.mark.parametrize(
    ("folder", "kind"), [("/home", "ext4"), ("/run/x", "tmpfs"), ("/data", "nfs4"), ("/data/in/x", "overlay")]
)
def test_the_file_system_is_that_of_the_innermost_mount(folder: str, kind: str) -> None:
    assert disk.kind_of(Path(folder), MOUNTS) == kind
    assert disk.kind_of(Path("/database"), MOUNTS) == "ext4"


def test_other_engines_and_firewalls_are_noted() -> None:
    assert [f.found for f in network.others({"lo", "docker0"})] == ["Docker has the link docker0"]
    assert levels(network.tables("table inet firewalld\ntable ip riad_1\ntable ip riad_2\n")) == [
        Level.NOTE,
        Level.NOTE,
    ]
