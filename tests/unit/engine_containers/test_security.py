"""Security options, seccomp profiles of users, and links: the pure parts."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.containers import linking
from riad.engine.containers.seccomp_custom import Profile, parse_profile
from riad.engine.containers.security import Security, read_security
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["no-new-privileges"], Security(no_new_privileges=True)),
        (["no-new-privileges=false"], Security()),
        (["no-new-privileges:1"], Security(no_new_privileges=True)),
        (["seccomp=unconfined", "apparmor=unconfined"], Security(seccomp="unconfined", apparmor="unconfined")),
        (["seccomp=builtin", "label=disable", "disable"], Security()),
        (["apparmor:mine"], Security(apparmor="mine")),
        (["systempaths=unconfined", "writable-cgroups=true"], Security(system_paths=True, writable_cgroups=True)),
    ],
)
def test_security_options_have_their_meaning(options: list[str], wanted: Security) -> None:
    assert read_security(options) == wanted


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("what", 'invalid --security-opt 1: "what"'),
        ("what=ever", 'invalid --security-opt 2: "what=ever"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("seccomp={", "Decoding seccomp profile failed"),
        ("seccomp=[]", "Decoding seccomp profile failed"),
        ("label=type:x", "only label=disable"),
    ],
)
def test_unknown_security_options_are_named(bad: str, sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        read_security([bad])
    assert sentence in caught.value.message


def _narrowed(profile: Profile, *capabilities: str, kernel: tuple[int, int] = (6, 1)) -> dict[str, Any]:
    return profile.narrowed(capabilities=frozenset(capabilities), arch="amd64", kernel=kernel)


def test_entries_of_a_profile_hold_where_their_conditions_do() -> None:
    entries: list[dict[str, Any]] = [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"name": "bpf", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2, "includes": {"arches": ["arm64"]}},
    ]
    body = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": entries,
    }
    profile = parse_profile(json.dumps(body))
    found = _narrowed(profile)
    assert found["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert [entry["names"] for entry in found["syscalls"]] == [["read"], ["clone"], ["ptrace"]]
    found = _narrowed(profile, "CAP_BPF", "CAP_SYS_ADMIN", kernel=(4, 4))
    assert [entry["names"] for entry in found["syscalls"]] == [["read"], ["bpf"]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"defaultAction": "ALLOW"},
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["A"], "archMap": [{}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "name": "b", "action": "X"}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "X"}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"]}]},
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["a"], "action": "X", "includes": {"minKernel": "x"}}],
        },
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": "no"},
    ],
)
def test_a_profile_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Fault):
        parse_profile(json.dumps(body))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["defaultAction", "syscalls", "names", "name", "action", "includes", "caps", "minKernel", "archMap"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
def test_strangers_profiles_are_read_or_refused(body: Any) -> None:
    try:
        profile = parse_profile(json.dumps(body))
    except Fault:
        return
    _narrowed(profile)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("db", linking.Link("db", "db")),
        ("/db:pg", linking.Link("db", "pg")),
        ("/db:/web/pg", linking.Link("db", "pg")),
    ],
)
def test_links_are_read_in_every_form(text: str, link: linking.Link) -> None:
    assert linking.parse_link(text) == link


@pytest.mark.parametrize("bad", ["", "a:b:c", ":a", "a:"])
def test_links_that_are_none_are_refused(bad: str) -> None:
    with pytest.raises(Fault):
        linking.parse_link(bad)


def test_a_link_tells_where_the_other_one_is() -> None:
    other = linking.Linked("db", "box", IPv4Address("172.17.0.2"), ("5432/tcp", "53/udp"), ("A=b", "PATH=/x", "HOME=/"))
    link = linking.Link("db", "my-db")
    assert linking.host_line(link, other) == "172.17.0.2\tmy-db box db\n"
    found = list(linking.environment("web", link, other))
    assert found[0] == "MY_DB_PORT=udp://172.17.0.2:53"
    assert "MY_DB_PORT_5432_TCP_ADDR=172.17.0.2" in found
    assert found[-2:] == ["MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=b"]
