"""A folder as a build context."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from riad.dockerclient.context import folder_context
from riad.kernel.faults import Fault


async def packed(folder: Path, dockerfile: str = "Dockerfile") -> tarfile.TarFile:
    data = b"".join([piece async for piece in folder_context(folder, dockerfile)])
    return tarfile.open(fileobj=io.BytesIO(data))


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


async def test_ignored_files_stay_the_dockerfile_comes(tmp_path: Path) -> None:
    write(tmp_path, Dockerfile="FROM a", a_dot_log="", sub__b_dot_log="", sub__c="3", sub__keep_dot_log="", gone__x="")
    (tmp_path / ".dockerignore").write_text("**/*.log\nDockerfile\ngone\n!sub/keep.log\n")
    tar = await packed(tmp_path)
    assert tar.getnames() == ["sub", ".dockerignore", "Dockerfile", "sub/c", "sub/keep.log"]


async def test_files_are_roots_and_links_stay_links(tmp_path: Path) -> None:
    write(tmp_path, Dockerfile="FROM a", file="content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    tar = await packed(tmp_path)
    assert {member.name: member.type for member in tar} == {
        "folder": tarfile.DIRTYPE, "to-folder": tarfile.SYMTYPE, "Dockerfile": tarfile.REGTYPE,
        "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "pipe": tarfile.FIFOTYPE,
    }  # fmt: skip
    assert {member.uid for member in tar} == {0}


async def test_a_missing_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="Dockerfile does not exist"):
        await packed(tmp_path)
