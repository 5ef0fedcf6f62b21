"""What the mirror has newer than a kept image is found without making the image anew."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from riad.base import host
from riad.base.build import Kept, ingredients
from riad.base.recipes import offered
from riad.base.update import upgrades
from riad.kernel.faults import Fault


def _reachable() -> bool:
    try:
        return bool(host.apt_sources())
    except Fault:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("apt-get") or not _reachable(), reason="apt has no sources here"),
]

STATUS = """Package: tzdata
Status: install ok installed
Architecture: all
Version: {}

"""


def image(folder: Path, version: str) -> Kept:
    tar = folder / f"{version}.tar"
    body = STATUS.format(version).encode()
    with tarfile.open(tar, "w") as archive:
        info = tarfile.TarInfo("./var/lib/dpkg/status")
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    return Kept("debian:test", "key", tar, tar.stat().st_size, 0.0)


async def test_an_older_package_is_told_and_a_newer_one_is_not(tmp_path: Path) -> None:
    wanted = ingredients(offered(*host.distribution())[0])
    [found] = await upgrades(image(tmp_path, "2000a-1"), wanted)
    assert (found.package, found.before) == ("tzdata", "2000a-1")
    assert await upgrades(image(tmp_path, "9999z-1"), wanted) == []
