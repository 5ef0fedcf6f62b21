from __future__ import annotations

from dataclasses import replace

import pytest

from riad.engine.containers import seccomp, spec
from riad.engine.containers.capabilities import ALL, DEFAULT, effective, normalized
from riad.kernel.faults import Fault

_HOST = spec.Host(arch="amd64", kernel=(6, 1), cgroup_v2=False, hard_limits={"RLIMIT_NOFILE": 1000})
_BUNDLE = spec.Bundle(
    root="/r",
    process=spec.Process(args=("true",)),
    namespaces={"pid": "", "mount": "", "uts": "", "ipc": "", "network": "/run/netns/x"},
    cgroup="/riad/x",
    hostname="box",
)


def _built(**changes: object) -> spec.Json:
    return spec.runtime_spec(replace(_BUNDLE, **changes), _HOST)  # type: ignore[arg-type]


def test_a_namespace_with_a_path_is_joined_and_an_absent_one_is_the_hosts() -> None:
    found = _built()["linux"]["namespaces"]
    assert {"type": "network", "path": "/run/netns/x"} in found
    assert {"type": "pid"} in found
    assert not [entry for entry in found if entry["type"] == "cgroup"]


def test_limits_never_rise_above_the_hosts_own() -> None:
    process = spec.Process(
        args=("true",), limits=(spec.Limit("RLIMIT_NOFILE", 500, -1), spec.Limit("RLIMIT_CORE", -1, -1))
    )
    assert spec.process_spec(process, _HOST)["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "hard": 1000, "soft": 500},
        {"type": "RLIMIT_CORE", "hard": 2**64 - 1, "soft": 2**64 - 1},
    ]


def test_a_user_other_than_root_holds_no_capability_but_keeps_the_bounds() -> None:
    held = spec.process_spec(spec.Process(args=("x",), user=spec.User(5, 5)), _HOST)["capabilities"]
    assert held["effective"] == held["permitted"] == []
    assert "CAP_CHOWN" in held["bounding"]


def test_what_the_user_mounts_replaces_the_standard_mount_and_parents_come_first() -> None:
    mounts = (spec.Mount("/a/b", "/x"), spec.Mount("/a", "/y"), spec.Mount("/dev/shm", "/z"))
    found = [mount["destination"] for mount in _built(mounts=mounts)["mounts"]]
    assert found.count("/dev/shm") == 1
    assert found.index("/a") < found.index("/a/b")


def test_a_privileged_container_is_neither_masked_nor_filtered() -> None:
    linux = _built(privileged=True)["linux"]
    assert "seccomp" not in linux
    assert "maskedPaths" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_only_limits_that_were_given_are_written() -> None:
    assert spec.resources_spec(spec.Resources(), _HOST) == {}
    assert spec.resources_spec(spec.Resources(memory=5, pids=3), _HOST) == {
        "memory": {"limit": 5},
        "pids": {"limit": 3},
    }


def test_capabilities_are_bounded_by_what_the_engine_has() -> None:
    bounds = frozenset(ALL) - {"CAP_SYS_RESOURCE"}
    assert "CAP_SYS_RESOURCE" not in effective(privileged=True, bounding=bounds)
    assert set(effective(add=["ALL"], bounding=bounds)) == bounds
    assert effective(drop=["all"]) == ()
    assert set(effective(drop=["mknod"])) == DEFAULT - {"CAP_MKNOD"}
    with pytest.raises(Fault, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        normalized(["fly"], field="CapAdd")


def _rule(profile: spec.Json, name: str) -> list[spec.Json]:
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


def test_the_seccomp_profile_widens_with_capabilities() -> None:
    plain = seccomp.profile(capabilities=DEFAULT, arch="amd64", kernel=(6, 1))
    admin = seccomp.profile(capabilities=DEFAULT | {"CAP_SYS_ADMIN"}, arch="amd64", kernel=(6, 1))
    assert plain["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not _rule(plain, "mount")
    assert _rule(admin, "mount")
    assert _rule(plain, "clone3") == [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    assert _rule(plain, "clone")[0]["args"] == [
        {"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    ]


def test_the_seccomp_profile_knows_kernels_and_processors() -> None:
    assert not _rule(seccomp.profile(capabilities=DEFAULT, arch="amd64", kernel=(4, 7)), "ptrace")
    assert not _rule(seccomp.profile(capabilities=DEFAULT, arch="arm64", kernel=(6, 1)), "arch_prctl")
    assert len(_rule(seccomp.profile(capabilities=DEFAULT, arch="amd64", kernel=(6, 1)), "personality")) == 5
