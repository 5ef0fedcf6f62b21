"""Containers whose root is an ordinary user of the host, and mounts that show other owners."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine, wait_until
from riad.engine.host import facts, idmap
from riad.engine.host.mounts import is_mounted, mounted_under

pytestmark = pytest.mark.root
FIRST = 1_500_000


@pytest.fixture(scope="module")
def remapped() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    if facts.kernel() < idmap.NEEDS:
        pytest.skip("this kernel has no id-mapped layers")
    with running_engine("--userns-remap", f"{FIRST}+65536", passable=True) as found:
        yield found


def test_root_inside_is_an_ordinary_user_outside(remapped: RunningEngine) -> None:
    remapped.docker("run", "-d", "--name", "box", BASE, "sleep", "600")
    try:
        pid = remapped.out("inspect", "-f", "{{.State.Pid}}", "box")
        assert os.stat(f"/proc/{pid}").st_uid == FIRST
        assert remapped.out("exec", "box", "id", "-u") == "0"
        assert remapped.out("exec", "box", "cat", "/proc/self/uid_map").split() == ["0", str(FIRST), "65536"]
        assert remapped.out("exec", "box", "stat", "-c", "%u:%g", "/etc/passwd") == "0:0"
        assert remapped.out("exec", "-u", "app", "box", "sh", "-c", "touch /tmp/mine; stat -c %u /tmp/mine") == "1000"
        remapped.docker("exec", "box", "sh", "-c", "echo new > /root-file; chown 7:8 /root-file")
        written = remapped.root / "data/containers" / remapped.out("inspect", "-f", "{{.Id}}", "box") / "diff/root-file"
        assert (written.stat().st_uid, written.stat().st_gid) == (7, 8)
    finally:
        remapped.docker("rm", "-f", "box")


def test_the_network_is_the_containers_own_to_administer(remapped: RunningEngine) -> None:
    said = remapped.out(
        "run", "--rm", "--cap-add", "NET_ADMIN", BASE, "sh", "-c",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward; grep -c eth0 /proc/net/dev",
    )  # fmt: skip
    assert "1" in said
    remapped.docker("run", "-d", "--name", "peer", BASE, "sleep", "600")
    try:
        own = remapped.out("exec", "peer", "readlink", "/proc/self/ns/net")
        joined = remapped.out("run", "--rm", "--network", "container:peer", BASE, "readlink", "/proc/self/ns/net")
        assert own == joined
    finally:
        remapped.docker("rm", "-f", "peer")


def test_devices_and_shared_memory_are_the_containers_own(remapped: RunningEngine) -> None:
    said = remapped.out(
        "run", "--rm", "--device", "/dev/zero:/dev/mine", BASE, "sh", "-c", "head -c 3 /dev/mine | wc -c"
    )
    assert said.strip() == "3"
    assert remapped.out("run", "--rm", "--ipc", "shareable", BASE, "stat", "-c", "%u %a", "/dev/shm") == "0 1777"
    assert "name=userns" in remapped.out("info", "-f", "{{.SecurityOptions}}")


def test_volumes_and_copies_keep_the_containers_owners(remapped: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    os.chown(tmp_path / "file", 1000, 1000)
    remapped.docker("run", "-d", "--name", "box", "-v", "kept:/v", "-v", "etc:/etc/", BASE, "sleep", "600")
    try:
        remapped.docker("exec", "box", "sh", "-c", "touch /v/a; chown 5:6 /v/a")
        point = Path(remapped.out("volume", "inspect", "-f", "{{.Mountpoint}}", "kept"))
        assert ((point / "a").stat().st_uid, (point / "a").stat().st_gid) == (5, 6)
        assert remapped.out("exec", "box", "stat", "-c", "%u", "/etc/passwd") == "0"
        remapped.docker("cp", "-a", tmp_path / "file", "box:/v/copied")
        assert remapped.out("exec", "box", "stat", "-c", "%u:%g", "/v/copied") == "1000:1000"
        os.chown(tmp_path / "file", 0, 0)
        remapped.docker("cp", tmp_path / "file", "box:/copied")
        assert remapped.out("exec", "box", "cat", "/copied") == "hello"
        sent = subprocess.run(
            ["docker", "cp", "box:/v/copied", "-"], env=remapped.environ, capture_output=True, check=True
        )
        exported = subprocess.run(["docker", "export", "box"], env=remapped.environ, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as tar:
            assert tar.getmember("copied").uid == 0
        with tarfile.open(fileobj=io.BytesIO(sent.stdout)) as tar:
            assert tar.getmember("copied").uid == 1000
    finally:
        remapped.docker("rm", "-f", "box")


def test_the_hosts_namespace_can_be_asked_for_and_some_things_need_it(remapped: RunningEngine) -> None:
    whole = remapped.out("run", "--rm", "--userns", "host", BASE, "cat", "/proc/self/uid_map")
    assert whole.split()[:2] == ["0", "0"]
    remapped.docker("run", "--rm", "--privileged", "--userns", "host", BASE, "true")
    for flags, sentence in (
        (("--privileged",), "privileged mode is incompatible with user namespaces"),
        (("--network", "host"), "cannot share the host's network namespace when user namespaces are enabled"),
        (("--pid", "host"), "cannot share the host PID namespace when user namespaces are enabled"),
    ):
        refused = remapped.docker("run", "--rm", *flags, BASE, "true", check=False)
        assert sentence in refused.err
        assert refused.code == 125


def test_containers_outlive_the_daemon_and_start_again(remapped: RunningEngine) -> None:
    remapped.docker("run", "-d", "--name", "box", "-v", "kept2:/v", BASE, "sleep", "600")
    try:
        remapped.docker("exec", "box", "touch", "/before")
        remapped.kill()
        remapped.start()
        assert remapped.out("exec", "box", "stat", "-c", "%u", "/before") == "0"
        remapped.docker("restart", "-t", "0", "box")
        assert remapped.out("exec", "box", "stat", "-c", "%u", "/before") == "0"
        remapped.docker("stop", "-t", "0", "box")
        assert "/before" in remapped.out("diff", "box")
    finally:
        remapped.docker("rm", "-f", "box")
    assert not mounted_under(remapped.root / "run" / "held")


def test_a_start_cut_short_costs_the_image_nothing(remapped: RunningEngine) -> None:
    """Layers may still be mounted in the container's folder when the engine was killed; it is deleted, they are not."""
    made = remapped.out("create", BASE, "true")
    layer = next((remapped.root / "data" / "layers").glob("*/etc")).parent
    before = sorted(path.name for path in layer.iterdir())
    point = remapped.root / "data" / "containers" / made / "mapped" / "1"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", layer, point], check=True)
    remapped.docker("rm", made)
    wait_until(lambda: not list((remapped.root / "data" / "trash").iterdir()))
    assert sorted(path.name for path in layer.iterdir()) == before
    made = remapped.out("create", BASE, "true")
    point = remapped.root / "data" / "containers" / made / "mapped" / "1"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", layer, point], check=True)
    remapped.kill()
    remapped.start()
    assert not is_mounted(point)
    remapped.docker("rm", made)


def test_nothing_is_left_of_the_namespace_when_no_container_runs() -> None:
    if os.geteuid() != 0 or facts.kernel() < idmap.NEEDS or not shutil.which("runc"):
        pytest.skip("needs root and id-mapped layers")
    with running_engine("--userns-remap", f"{FIRST}+65536", passable=True) as engine:
        found = list((engine.root / "run").glob("userns-*"))
        assert is_mounted(found[0])
        engine.stop()
        assert not found[0].exists()
        engine.start()


@pytest.fixture(scope="module")
def plain() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


def test_a_label_says_whose_the_files_of_a_bind_are(plain: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    os.chown(tmp_path, 1234, 1234)
    os.chown(tmp_path / "mine", 1234, 1234)
    said = plain.out(
        "run", "--rm", "-v", f"{tmp_path}:/data", "--label", "riad.idmap./data=1234:0", BASE, "sh", "-c",
        "stat -c %u:%g /data/mine; touch /data/made; grep -c ' /data ' /proc/mounts",
    )  # fmt: skip
    assert said.splitlines() == ["0:0", "1"]
    assert (tmp_path / "made").stat().st_uid == 1234
    said = plain.out(
        "run", "--rm", "-v", f"{tmp_path}:/data", "--label", "riad.idmap./data=u1234:1000,g1234:20", BASE, "stat",
        "-c", "%u:%g", "/data/mine",
    )  # fmt: skip
    assert said == "1000:20"
    assert not mounted_under(plain.root / "run" / "held")


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("riad.idmap./nowhere=1:0", "nothing is mounted there"),
        ("riad.idmap./data=1", "expected HOST:CONTAINER[:COUNT]"),
        ("riad.idmap./data=1:0,2:0", "its rows overlap"),
        ("riad.idmap./data=u1:0", "give users and groups"),
    ],
)
def test_labels_that_make_no_sense_are_refused(plain: RunningEngine, label: str, sentence: str) -> None:
    refused = plain.docker("create", "-v", "/srv:/data", "--label", label, BASE, "true", check=False)
    assert sentence in refused.err
    assert refused.code != 0


def test_an_owner_without_subordinate_ids_is_named(tmp_path: Path) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "riad.cli.main", "engine", "--data-root", tmp_path / "d", "--exec-root", tmp_path / "r",
         "-H", f"unix://{tmp_path}/s", "--userns-remap", "nosuchuser"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode != 0
    assert "has no subordinate ids of nosuchuser" in done.stderr or "cannot read" in done.stderr
