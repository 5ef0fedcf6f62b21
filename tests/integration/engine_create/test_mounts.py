"""Mounts and volumes as the container sees them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from riad.engine.host.mounts import is_mounted

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Path]:
    """A folder with a tmpfs mounted inside it."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "riad-create-test", inner], check=True)
    try:
        yield inner.parent
    finally:
        subprocess.run(["umount", "-l", inner], check=True)


def _try_both(engine: RunningEngine, mount: str) -> str:
    look = "ls /m/inner >/dev/null; touch /m/a 2>/dev/null && echo outer; touch /m/inner/b 2>/dev/null && echo inner; "
    return engine.out("run", "--rm", "--mount", mount, BASE, "sh", "-c", look + "grep -c ' /m' /proc/mounts")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "outer inner 2"),
        (",readonly", "2"),
        (",readonly,bind-recursive=writable", "inner 2"),
        (",readonly,bind-recursive=readonly,bind-propagation=rprivate", "2"),
        (",bind-recursive=disabled", "outer inner 1"),
    ],
)
def test_what_is_mounted_inside_a_bound_folder_follows_as_asked(
    engine: RunningEngine, outer: Path, options: str, said: str
) -> None:
    assert _try_both(engine, f"type=bind,source={outer},target=/m{options}").split() == said.split()


def test_only_shared_mounts_can_be_shared(engine: RunningEngine, outer: Path) -> None:
    inner = outer / "inner"
    subprocess.run(["mount", "--make-private", inner], check=True)
    refused = engine.docker("run", "--rm", "-v", f"{inner}:/m:shared", BASE, "true", check=False)
    assert f"path {inner} is mounted on {inner} but it is not a shared mount" in refused.err
    refused = engine.docker("run", "--rm", "-v", f"{inner}:/m:rslave", BASE, "true", check=False)
    assert "but it is not a shared or slave mount" in refused.err
    subprocess.run(["mount", "--make-shared", inner], check=True)
    inside = "mkdir /m/new; mount -t tmpfs new /m/new"
    engine.docker("run", "--rm", "--privileged", "-v", f"{inner}:/m:shared", BASE, "sh", "-c", inside)
    mounted = Path("/proc/self/mountinfo").read_text()
    assert f"{inner}/new" in mounted
    subprocess.run(["umount", inner / "new"], check=True)
    seen = engine.out("run", "--rm", "-v", f"{inner}:/m:rslave", BASE, "grep", " /m ", "/proc/self/mountinfo")
    assert "master:" in seen


def test_a_folder_inside_a_volume_cannot_lead_outside(engine: RunningEngine) -> None:
    engine.docker("volume", "create", "data")
    make = "mkdir -p /v/in/side; echo here > /v/in/side/file; ln -s /etc /v/out; ln -s in/side /v/link"
    engine.docker("run", "--rm", "-v", "data:/v", BASE, "sh", "-c", make)
    mount = "type=volume,source=data,target=/m,volume-subpath="
    assert engine.out("run", "--rm", "--mount", mount + "in/side", BASE, "cat", "/m/file") == "here"
    assert engine.out("run", "--rm", "--mount", mount + "link", BASE, "cat", "/m/file") == "here"
    assert engine.out("run", "--rm", "--mount", mount + "in/side/file", BASE, "cat", "/m") == "here"
    for bad in ("nowhere", "out"):
        refused = engine.docker("run", "--rm", "--mount", mount + bad, BASE, "ls", "/m", check=False)
        assert "cannot access path" in refused.err
    refused = engine.docker("create", "--mount", mount + "../..", BASE, "true", check=False)
    assert "subpath must be a relative path within the volume" in refused.err
    engine.docker("create", "--name", "resting", "--mount", mount + "in", BASE, "true")
    said = subprocess.run(
        ["docker", "cp", "resting:/m/side/file", "-"], capture_output=True, env=engine.environ, check=True
    )
    assert b"here" in said.stdout
    engine.docker("rm", "resting")


def test_a_volume_that_is_a_mount_is_mounted_while_it_is_used(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    engine.docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}", "bound")
    engine.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m,uid=7", "memory")
    point = engine.out("volume", "inspect", "-f", "{{.Mountpoint}}", "bound")
    assert engine.out("volume", "inspect", "-f", "{{.Options.device}}", "bound") == str(tmp_path)
    flags = ("-v", "bound:/b", "-v", "memory:/t")
    engine.docker("run", "-d", "--name", "user", *flags, BASE, "sleep", "600")
    try:
        assert engine.out("exec", "user", "cat", "/b/kept") == "mine"
        assert "size=2048k,uid=7" in engine.out("exec", "user", "grep", " /t ", "/proc/mounts")
        assert is_mounted(Path(point))
        engine.kill()
        engine.start()
        assert is_mounted(Path(point))
        assert engine.out("exec", "user", "cat", "/b/kept") == "mine"
    finally:
        engine.docker("rm", "-f", "user")
    assert not is_mounted(Path(point))
    engine.docker("volume", "rm", "bound", "memory")
    assert (tmp_path / "kept").read_text() == "mine"


def test_a_volume_that_cannot_be_mounted_says_so(engine: RunningEngine) -> None:
    engine.docker("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/no/where", "broken")
    refused = engine.docker("run", "--rm", "-v", "broken:/b", BASE, "true", check=False)
    assert "failed to mount local volume: mount /no/where:" in refused.err
    assert "no such file or directory" in refused.err
    engine.docker("volume", "rm", "broken")


def test_a_refused_container_leaves_no_volume_behind(engine: RunningEngine) -> None:
    before = engine.out("volume", "ls", "-q")
    bad = ("--mount", "type=volume,source=odd,target=/b,volume-driver=nosuch")
    refused = engine.docker("create", "--mount", "type=volume,source=fine,target=/a", *bad, BASE, "true", check=False)
    assert 'plugin "nosuch" not found' in refused.err
    assert engine.out("volume", "ls", "-q") == before


def test_tmpfs_takes_its_options_and_inspect_shows_them(engine: RunningEngine) -> None:
    said = engine.out(
        "run", "--rm", "--tmpfs", "/a:size=1m,exec,mode=700", "--mount", "type=tmpfs,target=/b,tmpfs-size=2m",
        BASE, "sh", "-c", "grep ' /a \\| /b ' /proc/mounts; stat -c %a /a",
    )  # fmt: skip
    assert "size=1024k" in said
    assert "size=2048k" in said
    assert said.splitlines()[-1] == "700"
    a = next(line for line in said.splitlines() if " /a " in line)
    assert "noexec" not in a


def test_volumes_of_others_come_along_read_only_where_asked(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "owner", "-v", "shared:/s", "-v", "/anon", BASE, "true")
    write = "touch /s/x 2>/dev/null && echo wrote; grep -c ' /s \\| /anon ' /proc/mounts"
    assert engine.out("run", "--rm", "--volumes-from", "owner", BASE, "sh", "-c", write).split() == ["wrote", "2"]
    assert engine.out("run", "--rm", "--volumes-from", "owner:ro", BASE, "sh", "-c", write).split() == ["2"]
    engine.docker("rm", "-v", "owner")
    assert "shared" in engine.out("volume", "ls", "-q").split()


@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        ("type=npipe,source=/a,target=/x", "mount type unknown"),
        ("type=volume,target=/x,readonly", "must not set ReadOnly mode when using anonymous volumes"),
        ("type=volume,target=/x,volume-subpath=a", "must not set Subpath when using anonymous volumes"),
        ("type=bind,source=/no/where,target=/x", "bind source path does not exist: /no/where"),
        ("type=bind,source=/tmp,target=/", "destination can't be '/'"),
        ("type=bind,source=/tmp,target=/x,bind-propagation=odd", "invalid propagation mode: odd"),
        ("type=tmpfs,target=x", "mount path must be absolute"),
    ],
)
def test_mounts_that_make_no_sense_are_refused(engine: RunningEngine, mount: str, sentence: str) -> None:
    refused = engine.docker("create", "--mount", mount, BASE, "true", check=False)
    assert refused.code != 0
    assert sentence in refused.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-o", "colour=red"), 'invalid option: "colour"'),
        (("-o", "type=tmpfs"), 'missing required option: "device"'),
        (("-d", "nosuch"), 'plugin "nosuch" not found'),
    ],
)
def test_volumes_that_make_no_sense_are_refused(engine: RunningEngine, options: tuple[str, ...], sentence: str) -> None:
    refused = engine.docker("volume", "create", *options, "x1", check=False)
    assert refused.code != 0
    assert sentence in refused.err
