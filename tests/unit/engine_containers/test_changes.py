"""`docker diff`: what an overlay's upper directory changed, by Docker's rules. Whiteouts are the kernel's."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from riad.engine.containers.changes import changes, drop_mount_points
from riad.engine.host.disk import on_disk, written

pytestmark = pytest.mark.root


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path, Path]:
    """upper, two layers (the lower first)"""
    if os.geteuid() != 0:
        pytest.skip("whiteouts need root")
    for name in ("upper", "low", "high"):
        (tmp_path / name).mkdir()
    return tmp_path / "upper", tmp_path / "low", tmp_path / "high"


def _told(upper: Path, *layers: Path) -> list[str]:
    return [f"{'CAD'[change.kind]} {change.path}" for change in changes(upper, layers)]


def _file(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _whiteout(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def _copied(source: Path, target: Path) -> None:
    """As overlayfs copies up: with its times."""
    status = source.stat()
    _file(target, source.read_text())
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_an_added_file_changes_its_parents(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    _file(low / "srv/kept")
    _file(upper / "srv/new/file")
    assert _told(upper, low, high) == ["C /srv", "A /srv/new", "A /srv/new/file"]


def test_a_whiteout_is_a_removal_and_hides_what_layers_below_have(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    _file(low / "srv/old")
    _whiteout(upper / "srv/old")
    _file(low / "gone")
    _whiteout(high / "gone")
    _whiteout(upper / "gone")  # removed in the image already
    assert _told(upper, low, high) == ["C /srv", "D /srv/old"]


def test_what_was_only_opened_for_writing_is_no_change(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    _copied(_file(high / "etc/passwd"), upper / "etc/passwd")
    assert _told(upper, low, high) == []
    (upper / "etc/passwd").chmod(0o600)
    assert _told(upper, low, high) == ["C /etc", "C /etc/passwd"]


def test_a_directory_made_anew_lost_what_it_does_not_have_again(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    _file(low / "var/log/apt/term.log")
    _file(high / "var/log/dpkg.log")
    _file(upper / "var/log/mine")
    (upper / "var/log/apt").mkdir()
    os.setxattr(upper / "var/log", "trusted.overlay.opaque", b"y")
    assert _told(upper, low, high) == [
        "C /var",
        "C /var/log",
        "C /var/log/apt",
        "D /var/log/apt/term.log",
        "D /var/log/dpkg.log",
        "A /var/log/mine",
    ]


def test_a_file_in_place_of_a_directory_is_one_change(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    _file(low / "data/a")
    _file(upper / "data")
    assert _told(upper, low, high) == ["C /data"]


def test_what_the_engine_mounts_on_is_not_the_users_change(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    (upper / "proc").mkdir()
    _file(upper / "etc/hosts", "")
    assert _told(upper, low, high) == []
    _file(upper / "etc/mine", "")
    assert _told(upper, low, high) == ["C /etc", "A /etc/mine"]


def test_written_bytes_are_lengths_and_count_hard_links_once(trees: tuple[Path, Path, Path]) -> None:
    upper, _, _ = trees
    os.link(_file(upper / "a", "12345"), upper / "b")
    (upper / "link").symlink_to("a")
    assert written(upper) == 5 + len("a")
    assert written(upper / "missing") == 0


def test_disk_usage_agrees_with_du(trees: tuple[Path, Path, Path]) -> None:
    upper, _, _ = trees
    os.link(_file(upper / "deep/a", "1" * 10000), upper / "deep/b")
    told = subprocess.run(["du", "-s", "-B1", upper], capture_output=True, text=True, check=True).stdout
    assert on_disk(upper) == int(told.split()[0])


def test_an_image_does_not_get_what_was_only_mounted_on(trees: tuple[Path, Path, Path]) -> None:
    upper, low, high = trees
    (upper / "proc").mkdir()
    _file(upper / "etc/resolv.conf", "")
    _file(upper / "etc/hosts", "mine")
    _file(low / "etc/hostname")
    _file(upper / "etc/hostname", "")
    drop_mount_points(upper, [low, high])
    assert sorted(path.relative_to(upper).as_posix() for path in upper.rglob("*")) == [
        "etc",
        "etc/hostname",
        "etc/hosts",
    ]
