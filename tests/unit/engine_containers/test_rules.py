"""The pure rules of containers: life, restarts, health, merging, mounts, users, detach keys, names."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.containers import codec, detach, health, merge, mounting, names, restart, user
from riad.engine.containers.bundle import parse_device_rule, resources
from riad.engine.containers.model import (
    Container,
    HostSettings,
    MountWish,
    Phase,
    RestartPolicy,
    Run,
    Settings,
    check_transition,
)
from riad.engine.containers.signals import signal_number
from riad.engine.containers.spec import Limit, Resources
from riad.engine.host.runc import reason
from riad.engine.networks.model import EndpointWish, PortBinding
from riad.kernel.faults import Fault
from riad.oci.config import ContainerConfig, Healthcheck


def test_life_goes_only_where_the_table_leads() -> None:
    check_transition(Phase.CREATED, Phase.STARTING)
    check_transition(Phase.RUNNING, Phase.RUNNING)
    with pytest.raises(Fault, match="cannot become"):
        check_transition(Phase.EXITED, Phase.PAUSED)
    with pytest.raises(Fault, match="cannot become"):
        check_transition(Phase.REMOVING, Phase.STARTING)


@pytest.mark.parametrize(
    ("policy", "code", "count", "stopped", "again"),
    [
        (RestartPolicy(), 1, 0, False, False),
        (RestartPolicy("always"), 0, 9, False, True),
        (RestartPolicy("always"), 0, 9, True, False),
        (RestartPolicy("unless-stopped"), 137, 0, False, True),
        (RestartPolicy("on-failure"), 0, 0, False, False),
        (RestartPolicy("on-failure"), 2, 50, False, True),
        (RestartPolicy("on-failure", 3), 2, 2, False, True),
        (RestartPolicy("on-failure", 3), 2, 3, False, False),
    ],
)
def test_restart_policies(policy: RestartPolicy, code: int, count: int, *, stopped: bool, again: bool) -> None:
    assert restart.restarts(policy, exit_code=code, count=count, stopped_by_user=stopped) is again


def test_restarts_come_slower_until_the_container_lasts() -> None:
    delay, seen = 0.0, []
    for _ in range(12):
        delay = restart.delay(before=delay, ran_for=0.1)
        seen.append(delay)
    assert seen[:3] == [0.1, 0.2, 0.4]
    assert seen[-1] == restart.LONGEST_DELAY
    assert restart.delay(before=60.0, ran_for=11) == restart.FIRST_DELAY


def test_health_is_lost_by_failures_in_a_row_and_won_by_one_success() -> None:
    check = health.Check(("true",), interval=10, retries=2)
    seen = health.Verdict(health.HEALTHY)
    seen = health.judge(seen, check, code=1, since_start=100)
    assert (seen.status, seen.streak) == (health.HEALTHY, 1)
    seen = health.judge(seen, check, code=1, since_start=110)
    assert seen.status == health.UNHEALTHY
    assert health.judge(seen, check, code=0, since_start=120) == health.Verdict(health.HEALTHY)


def test_failures_while_starting_count_once_per_interval_and_not_in_the_start_period() -> None:
    check = health.Check(("true",), interval=10, retries=2, start_period=5)
    seen = health.Verdict()
    for since, streak in ((0, 0), (4, 0), (6, 1), (11, 1), (16, 2)):
        seen = health.judge(seen, check, code=1, since_start=since)
        assert seen.streak == streak
    assert seen.status == health.UNHEALTHY


def test_a_check_is_read_from_the_configuration() -> None:
    assert health.check_of(None) is None
    assert health.check_of(Healthcheck(("NONE",))) is None
    found = health.check_of(Healthcheck(("CMD-SHELL", "x y"), interval=2 * 10**9))
    assert found is not None
    assert (found.command, found.interval, found.timeout) == (("/bin/sh", "-c", "x y"), 2.0, 30.0)


def test_an_entrypoint_of_the_user_drops_the_images_arguments() -> None:
    image = ContainerConfig(entrypoint=("e",), cmd=("c",), env=("A=1", "B=2"), labels={"x": "1"})
    assert merge.merge(ContainerConfig(), image).cmd == ("c",)
    assert merge.merge(ContainerConfig(cmd=("d",)), image).entrypoint == ("e",)
    assert merge.merge(ContainerConfig(entrypoint=("f",)), image).cmd is None
    assert merge.merge(ContainerConfig(entrypoint=("",), cmd=("d",)), image).entrypoint is None
    merged = merge.merge(ContainerConfig(env=("B=3", "A"), labels={"x": "2"}), image)
    assert (merged.env, merged.labels) == (("B=3",), {"x": "2"})
    with pytest.raises(Fault, match="no command specified"):
        merge.merge(ContainerConfig(), ContainerConfig())


@pytest.mark.parametrize(
    ("text", "kind", "source", "target"),
    [
        ("/a:/b", "bind", "/a", "/b"),
        ("/a:/b/../c/:ro", "bind", "/a", "/c"),
        ("name:/b", "volume", "name", "/b"),
        ("/only", "volume", "", "/only"),
    ],
)
def test_binds_are_read(text: str, kind: str, source: str, target: str) -> None:
    found = mounting.parse_bind(text)
    assert (found.kind, found.source, found.target) == (kind, source, target)


@pytest.mark.parametrize(
    "text", ["", ":", "/a:", "/a:/b:ro:x", "/a:b", "/a:/", "n/o:/b", "/a:/b:odd", "name:/b:shared"]
)
def test_binds_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Fault):
        mounting.parse_bind(text)


@given(st.text(alphabet="/:abro,.\0 é", max_size=20))
def test_any_text_is_a_bind_or_refused(text: str) -> None:
    with contextlib.suppress(Fault):
        assert mounting.parse_bind(text).target.startswith("/")


def test_the_users_mount_wins_over_the_images_volume_and_two_of_the_user_conflict() -> None:
    host = HostSettings(binds=("/a:/data",))
    assert [wish.kind for wish in mounting.wishes(host, ["/data", "/more"])] == ["bind", "volume"]
    with pytest.raises(Fault, match="Duplicate mount point: /data"):
        mounting.wishes(HostSettings(binds=("/a:/data", "/b:/data/")), [])


_PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nbroken\n"
_GROUP = "root:x:0:\napp:x:1000:\nextra:x:20:app,other\n"


@pytest.mark.parametrize(
    ("wanted", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, (0,), "/root"),
        ("app", 1000, 1000, (1000, 20), "/home/app"),
        ("1000", 1000, 1000, (1000, 20), "/home/app"),
        ("4242", 4242, 0, (0,), "/"),
        ("app:extra", 1000, 20, (20,), "/home/app"),
        ("5:7", 5, 7, (7,), "/"),
    ],
)
def test_users_are_looked_up_in_the_containers_files(
    wanted: str, uid: int, gid: int, groups: tuple[int, ...], home: str
) -> None:
    found = user.resolve(wanted, passwd=_PASSWD, group=_GROUP)
    assert (found.user.uid, found.user.gid, found.user.groups, found.home) == (uid, gid, groups, home)


def test_unknown_users_and_groups_are_named() -> None:
    with pytest.raises(Fault, match="unable to find user ghost"):
        user.resolve("ghost", passwd=_PASSWD, group=_GROUP)
    with pytest.raises(Fault, match="unable to find group ghosts"):
        user.resolve("app", passwd=_PASSWD, group=_GROUP, extra=["ghosts"])
    with pytest.raises(Fault, match="must be in range"):
        user.resolve("99999999999", passwd="", group="")


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_without_the_keys_everything_typed_arrives(pieces: list[bytes]) -> None:
    keys = detach.Detector(detach.parse_keys(""))
    if b"\x10\x11" in b"".join(pieces):
        return
    passed = b"".join(keys.feed(piece)[0] for piece in pieces) + keys.rest()
    assert passed == b"".join(pieces)


def test_detach_keys_are_found_in_pieces() -> None:
    keys = detach.Detector(detach.parse_keys("ctrl-a,x"))
    assert keys.feed(b"hi\x01") == (b"hi", False)
    assert keys.feed(b"x more") == (b"", True)
    with pytest.raises(Fault, match="Invalid detach keys"):
        detach.parse_keys("ctrl-1")


@pytest.mark.parametrize(
    ("text", "number"), [("9", 9), ("KILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)]
)
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "99", "SIGNOPE", "TERM+1", "-9"])
def test_unknown_signals_are_refused(text: str) -> None:
    with pytest.raises(Fault, match=r"invalid signal|does not support signal"):
        signal_number(text)


def test_names_follow_dockers_rule_and_invented_ones_are_free() -> None:
    assert names.check_name("/web-1.a_b") == "web-1.a_b"
    for bad in ("", "a", "-a", "a b", "é1"):
        with pytest.raises(Fault, match="Invalid container name"):
            names.check_name(bad)
    taken = {names.invent_name(set()) for _ in range(100)}
    assert names.invent_name(taken) not in taken


def test_cpus_become_a_quota_and_swap_is_doubled_where_it_is_counted() -> None:
    wanted = HostSettings(nano_cpus=1_500_000_000, resources=Resources(memory=100))
    assert resources(wanted, swap_limits=True) == Resources(
        memory=100, memory_swap=200, cpu_period=100_000, cpu_quota=150_000
    )
    assert resources(wanted, swap_limits=False).memory_swap is None


def test_device_rules() -> None:
    assert parse_device_rule("c 42:* rm").minor is None
    for bad in ("c 42 r", "x 1:1 r", "c 1:1 z", ""):
        with pytest.raises(Fault, match="invalid device cgroup rule"):
            parse_device_rule(bad)


def test_a_container_survives_the_database() -> None:
    container = Container(
        id="a" * 64,
        name="web",
        created=datetime(2024, 1, 2, tzinfo=UTC),
        image_id="sha256:x",
        settings=Settings(
            image="i",
            config=ContainerConfig(cmd=("x",), exposed_ports=frozenset({"80/tcp"}), labels={"a": "b"},
                                   healthcheck=Healthcheck(("NONE",))),
            host=HostSettings(
                mounts=(MountWish("bind", "/a", "/b"),),
                ports=(PortBinding(80, "tcp", "", 8080),),
                restart=RestartPolicy("on-failure", 3),
                ulimits=(Limit("RLIMIT_CORE", 0, -1),),
                masked_paths=(),
                console_size=(20, 80),
            ),
            networks={"bridge": EndpointWish(("alias",))},
        ),
        phase=Phase.RUNNING,
        run=Run(pid=5, started_at=datetime(2024, 1, 3, 1, 2, 3, 4, tzinfo=UTC)),
        layers=("sha256:l1", "sha256:l2"),
    )  # fmt: skip
    assert codec.from_json(Container, codec.to_json(container)) == container


def test_a_runtimes_complaint_is_undressed() -> None:
    assert reason('time="x" level=error msg="exec: \\"a\\": not found"') == 'exec: "a": not found'
    assert reason("plain\n") == "plain"
    assert "without saying why" in reason("")
