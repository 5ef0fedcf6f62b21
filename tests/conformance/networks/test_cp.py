"""`docker cp` both ways, of containers that run and that rest."""

from __future__ import annotations

import io
import re
import tarfile
import time
from contextlib import closing
from pathlib import Path

import docker
import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root

NO_FILE = "Could not find the file /nope in container c1|No such container:path: c1:/nope"
"""As the engine has it, and in the words of clients before 23."""


@pytest.fixture(params=["running", "created", "exited"])
def container(engine: RunningEngine, request: pytest.FixtureRequest) -> str:
    command = ("sleep", "1000") if request.param == "running" else ("true",)
    engine.docker("create", "--name", "c1", "-v", "vol:/vol", BASE, *command)
    if request.param != "created":
        engine.docker("start", "c1")
    if request.param == "exited":
        engine.docker("wait", "c1")
    return "c1"


def test_a_file_and_a_folder_go_in_and_come_back(engine: RunningEngine, container: str, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/file").write_text("content")
    (tmp_path / "in/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "in/run.sh").chmod(0o755)
    engine.docker("cp", tmp_path / "in", f"{container}:/tmp/folder")
    engine.docker("cp", tmp_path / "in/run.sh", f"{container}:/usr/bin/renamed")
    engine.docker("cp", f"{container}:/tmp/folder", tmp_path / "out")
    engine.docker("cp", f"{container}:/usr/bin/renamed", tmp_path / "back")
    assert (tmp_path / "out/deep/file").read_text() == "content"
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o755


def test_what_was_put_in_is_there_at_the_next_start(engine: RunningEngine, tmp_path: Path) -> None:
    engine.docker("create", "--name", "c1", "-v", "vol:/vol", BASE, "cat", "/tmp/file", "/vol/file")
    (tmp_path / "file").write_text("text\n")
    engine.docker("cp", tmp_path / "file", "c1:/tmp/")
    engine.docker("cp", tmp_path / "file", "c1:/vol/")
    assert engine.out("start", "-a", "c1") == "text\ntext"


def test_volumes_are_copied_from_and_to(engine: RunningEngine, container: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    engine.docker("cp", tmp_path / "file", f"{container}:/vol/file")
    assert engine.out("run", "--rm", "-v", "vol:/v", BASE, "cat", "/v/file") == "text"
    engine.docker("cp", f"{container}:/vol", tmp_path / "vol")
    assert (tmp_path / "vol/file").read_text() == "text"


def test_a_volume_that_gets_a_copy_before_its_first_start_has_the_images_files_too(
    engine: RunningEngine, tmp_path: Path
) -> None:
    (tmp_path / "mine").touch()
    engine.docker("create", "--name", "c1", "-v", "conf:/etc", BASE, "ls", "/etc")
    engine.docker("cp", tmp_path / "mine", "c1:/etc/mine")
    assert {"mine", "passwd"} <= set(engine.out("start", "-a", "c1").split())


def test_links_are_copied_or_followed_as_asked(engine: RunningEngine, container: str, tmp_path: Path) -> None:
    engine.docker("cp", f"{container}:/bin", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    engine.docker("cp", "-L", f"{container}:/bin", tmp_path / "followed")
    assert (tmp_path / "followed/sh").exists()


def test_streams_from_and_to_the_terminal(engine: RunningEngine, container: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("f")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with closing(docker.DockerClient(base_url=engine.host)) as client:
        assert client.containers.get(container).put_archive("/tmp", archive.read_bytes())
        stream, about = client.containers.get(container).get_archive("/tmp/f")
        assert about["name"] == "f" and about["size"] == 1
        assert b"".join(stream)[:1] == b"f"


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("c1:/nope", "OUT", NO_FILE),
        ("FILE", "c1:/nope/deeper", NO_FILE),
        ("FOLDER", "c1:/etc/passwd", "cannot copy directory"),
        ("nobody:/etc", "OUT", "No such container(:path)?: nobody"),
    ],
)
def test_what_cannot_be_copied_is_named(
    engine: RunningEngine, tmp_path: Path, source: str, target: str, sentence: str
) -> None:
    engine.docker("create", "--name", "c1", BASE, "true")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    places = {"FILE": tmp_path / "file", "FOLDER": tmp_path / "folder", "OUT": tmp_path / "out"}
    said = engine.docker("cp", places.get(source, source), places.get(target, target), check=False)
    assert said.code == 1
    assert re.search(sentence, said.err)


def test_a_tmpfs_of_a_running_container_is_seen(engine: RunningEngine, tmp_path: Path) -> None:
    engine.docker("run", "-d", "--name", "c1", "--tmpfs", "/mem", BASE, "sh", "-c", "echo x > /mem/file; sleep 1000")
    engine.docker("cp", "c1:/mem/.", tmp_path / "out")
    (tmp_path / "file").write_text("y")
    engine.docker("cp", tmp_path / "file", "c1:/mem/new")
    assert engine.out("exec", "c1", "cat", "/mem/new") == "y"


def test_read_only_files_refuse(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine.docker("create", "--name", "c1", "--read-only", "-v", "vol:/vol", BASE, "sleep", "1000")
    for _ in ("resting", "running"):
        said = engine.docker("cp", tmp_path / "file", "c1:/tmp/x", check=False)
        assert "container rootfs is marked read-only" in said.err
        engine.docker("cp", tmp_path / "file", "c1:/vol/x")
        engine.docker("start", "c1")


def test_a_container_that_moves_links_about_cannot_reach_the_host(engine: RunningEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    engine.docker("run", "-d", "--name", "c1", BASE, "sh", "-c", f"ln -s {tmp_path} /way; sleep 1000")
    engine.docker("cp", tmp_path / "file", "c1:/way/caught", check=False)
    assert not (tmp_path / "caught").exists()


def test_small_copies_are_fast(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "c1", BASE, "true")
    upload = io.BytesIO()
    with tarfile.open(fileobj=upload, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("f"))
    with closing(docker.DockerClient(base_url=engine.host)) as client:
        container = client.containers.get("c1")
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            container.put_archive("/tmp", upload.getvalue())
            times.append(time.perf_counter() - begin)
    assert sorted(times)[4] < 0.05
