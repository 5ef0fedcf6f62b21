"""`docker cp` by the stock client: into and out of mounts, running and at rest, compressed, read-only."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as found:
        yield found


@pytest.fixture
def box(engine: RunningEngine, tmp_path: Path) -> Iterator[str]:
    """A running container with every kind of mount."""
    (tmp_path / "bound").mkdir()
    flags = ("--tmpfs", "/t", "-v", "cp-volume:/v", "-v", f"{tmp_path}/bound:/b", "-v", f"{tmp_path}/bound:/ro:ro")
    engine.docker("run", "-d", "--name", "box", *flags, BASE, "sleep", "600")
    yield "box"
    engine.docker("rm", "-f", "box")
    engine.docker("volume", "rm", "cp-volume")


def test_files_reach_every_kind_of_mount(engine: RunningEngine, box: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    for place in ("/t", "/v", "/b", "/tmp"):
        engine.docker("cp", tmp_path / "file", f"{box}:{place}/file")
        assert engine.out("exec", box, "cat", f"{place}/file") == "hello"
        engine.docker("cp", f"{box}:{place}/file", tmp_path / "back")
        assert (tmp_path / "back").read_text() == "hello"
    assert (tmp_path / "bound/file").read_text() == "hello"


def test_what_is_read_only_stays_so(engine: RunningEngine, box: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    refused = engine.docker("cp", tmp_path / "file", f"{box}:/ro/file", check=False)
    assert "mounted volume is marked read-only" in refused.err
    engine.docker("create", "--name", "closed", "--read-only", "-v", "cp-volume:/v", BASE, "true")
    try:
        refused = engine.docker("cp", tmp_path / "file", "closed:/file", check=False)
        assert "container rootfs is marked read-only" in refused.err
        engine.docker("cp", tmp_path / "file", "closed:/v/file")
        assert engine.out("exec", box, "cat", "/v/file") == "hello"
    finally:
        engine.docker("rm", "closed")


@pytest.mark.parametrize("compress", ["", "gzip", "bzip2", "xz", "zstd"])
def test_archives_are_taken_in_every_compression(engine: RunningEngine, box: str, compress: str) -> None:
    if compress and not shutil.which(compress):
        pytest.skip(f"needs {compress}")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(f"in-{compress}")
        entry.size, entry.uid, entry.gid, entry.mode = 5, 12, 34, 0o640
        tar.addfile(entry, io.BytesIO(b"hello"))
    content = packed.getvalue()
    if compress:
        content = subprocess.run([compress, "-c"], input=content, capture_output=True, check=True).stdout
    subprocess.run(["docker", "cp", "-", f"{box}:/v"], input=content, env=engine.environ, check=True)
    said = engine.out("exec", box, "stat", "-c", "%u:%g %a %s", f"/v/in-{compress}")
    assert said == "12:34 640 5"


def test_a_file_with_a_slash_behind_it_is_no_directory(engine: RunningEngine, box: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    refused = engine.docker("cp", tmp_path / "file", f"{box}:/etc/passwd/", check=False)
    assert refused.code != 0
    assert "root:" in engine.out("exec", box, "cat", "/etc/passwd")


def test_links_are_copied_or_followed_as_asked(engine: RunningEngine, box: str, tmp_path: Path) -> None:
    engine.docker("exec", box, "ln", "-s", "/etc/passwd", "/tmp/link")
    engine.docker("cp", f"{box}:/tmp/link", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    engine.docker("cp", "-L", f"{box}:/tmp/link", tmp_path / "content")
    assert "root:" in (tmp_path / "content").read_text()


def test_a_container_can_tell_that_it_is_one_and_diff_does_not(engine: RunningEngine, box: str) -> None:
    engine.docker("exec", box, "test", "-f", "/.dockerenv")
    assert ".dockerenv" not in engine.out("diff", box)
