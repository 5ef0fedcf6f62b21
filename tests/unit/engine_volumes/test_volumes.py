"""Volumes as the engine keeps them: names, use, removal, copy-up. Real files in a temporary folder, no root."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riad.engine.state import State
from riad.engine.volumes.model import ANONYMOUS
from riad.engine.volumes.volumes import Volumes
from riad.kernel.clock import FixedClock
from riad.kernel.faults import Fault, Kind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Users:
    """Which containers use which volume; steered by tests."""

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = {}

    def __call__(self, name: str) -> list[str]:
        return self.of.get(name, [])


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def volumes(tmp_path: Path, users: Users) -> Volumes:
    return Volumes(State(tmp_path / "state"), tmp_path / "volumes", clock=FixedClock(NOW), users=users)


def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "data" / "sub").mkdir(parents=True)
    (root / "data" / "file").write_text("content")
    (root / "data" / "file").chmod(0o4751)
    (root / "data" / "sub" / "deep").write_bytes(b"x" * 100_000)
    (root / "data" / "link").symlink_to("/etc/passwd")
    (root / "data").chmod(0o2750)
    return root


def test_creating_a_volume_twice_returns_the_same(volumes: Volumes) -> None:
    first = volumes.create("data", labels={"a": "b"})
    assert volumes.create("data", labels={"c": "d"}) == first
    assert first.created_at == NOW
    assert first.mountpoint.is_dir()


def test_a_volume_without_a_name_is_anonymous(volumes: Volumes) -> None:
    volume = volumes.create()
    assert len(volume.name) == 64
    assert volume.labels == {ANONYMOUS: ""}
    assert volume.is_anonymous


@pytest.mark.parametrize("name", ["a/b", "../x", "-a", ".hidden", "a b", "été", "x" * 256])
def test_names_that_are_no_folder_names_are_refused_by_name(volumes: Volumes, name: str) -> None:
    with pytest.raises(Fault, match="includes invalid characters for a local volume name") as caught:
        volumes.create(name)
    assert caught.value.kind is Kind.INVALID


def test_a_name_of_one_letter_is_refused(volumes: Volumes) -> None:
    with pytest.raises(Fault, match="at least two alphanumeric characters"):
        volumes.create("a")


def test_an_unknown_driver_is_not_found(volumes: Volumes) -> None:
    with pytest.raises(Fault, match='plugin "nfs" not found') as caught:
        volumes.create("data", driver="nfs")
    assert caught.value.kind is Kind.NOT_FOUND


def test_options_of_the_driver_are_kept_and_unknown_ones_refused(volumes: Volumes) -> None:
    options = {"type": "tmpfs", "device": "tmpfs"}
    volumes.create("fast", options=options)
    assert volumes.get("fast").options == options
    with pytest.raises(Fault, match="invalid option") as caught:
        volumes.create("odd", options={"colour": "red"})
    assert caught.value.kind is Kind.INVALID
    assert [volume.name for volume in volumes.all()] == ["fast"]


async def test_a_volume_in_use_is_not_removed_even_by_force(volumes: Volumes, users: Users) -> None:
    volumes.create("data")
    users.of["data"] = ["c1", "c2"]
    with pytest.raises(Fault, match=r"remove data: volume is in use - \[c1, c2\]") as caught:
        await volumes.remove("data", force=True)
    assert caught.value.kind is Kind.CONFLICT
    assert volumes.get("data")


async def test_removing_an_unknown_volume_is_forgiven_only_by_force(volumes: Volumes) -> None:
    await volumes.remove("nope", force=True)
    with pytest.raises(Fault, match="get nope: no such volume"):
        await volumes.remove("nope")


async def test_a_removed_volume_leaves_no_files(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.use("data")
    (folder / "file").write_text("x")
    await volumes.remove("data")
    assert list((tmp_path / "volumes").iterdir()) == []


async def test_prune_takes_what_is_wanted_and_unused_and_counts_its_bytes(volumes: Volumes, users: Users) -> None:
    (volumes.use("used") / "file").write_bytes(b"x" * 8192)
    (volumes.use("idle") / "file").write_bytes(b"x" * 8192)
    volumes.create("kept")
    users.of["used"] = ["c1"]
    names, reclaimed = await volumes.prune(lambda volume: volume.name != "kept")
    assert names == ["idle"]
    assert reclaimed >= 8192
    assert [volume.name for volume in volumes.all()] == ["kept", "used"]


async def test_an_interrupted_removal_is_finished_at_start(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create("data")
    (tmp_path / "volumes" / "data").rename(tmp_path / "volumes" / ".removed-0123")
    await volumes.recover()
    assert volumes.all() == []
    assert list((tmp_path / "volumes").iterdir()) == []


async def test_data_without_a_row_is_left_alone(volumes: Volumes, tmp_path: Path) -> None:
    (tmp_path / "volumes" / "strange" / "_data").mkdir(parents=True)
    await volumes.recover()
    assert (tmp_path / "volumes" / "strange" / "_data").is_dir()


async def test_an_empty_volume_is_filled_with_owner_modes_and_links(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.use("data")
    await volumes.populate("data", image(tmp_path), "/data")
    assert (folder / "file").read_text() == "content"
    assert (folder / "file").stat().st_mode & 0o7777 == 0o4751
    assert (folder / "sub" / "deep").stat().st_size == 100_000
    assert os.readlink(folder / "link") == "/etc/passwd"
    assert folder.stat().st_mode & 0o7777 == 0o2750
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["_data"]


async def test_a_volume_with_files_is_never_filled(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.use("data")
    (folder / "mine").touch()
    await volumes.populate("data", image(tmp_path), "/data")
    assert [entry.name for entry in folder.iterdir()] == ["mine"]


async def test_a_place_that_the_image_does_not_have_fills_nothing(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.use("data")
    root = image(tmp_path)
    await volumes.populate("data", root, "/nowhere/at/all")
    await volumes.populate("data", root, "/data/file")
    assert list(folder.iterdir()) == []


async def test_a_link_in_the_image_cannot_bring_the_hosts_files_in(volumes: Volumes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").touch()
    root = image(tmp_path)
    (root / "out").symlink_to(secret)
    (root / "up").symlink_to("../../../../../../" + str(secret))
    for path in ("/out", "/up", "/../secret"):
        await volumes.populate("data" if volumes.use("data") else "", root, path)
    assert list(volumes.use("data").iterdir()) == []


async def test_a_copy_that_was_not_moved_in_completely_is_finished(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.use("data")
    finished = folder.parent / ".copied-up"
    finished.mkdir()
    (finished / "second").touch()
    (folder / "first").touch()
    await volumes.populate("data", image(tmp_path), "/data")
    assert sorted(entry.name for entry in folder.iterdir()) == ["first", "second"]
    assert not finished.exists()
