"""A base image made with mmdebstrap from this host's own mirror, twice."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tarfile
from pathlib import Path

import pytest

from riad.base import host
from riad.base.build import Ingredients, ingredients, kept, make
from riad.base.recipes import offered
from riad.kernel.faults import Fault, Kind

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed"),
]


def base_of_this_host() -> Ingredients:
    return ingredients(offered(*host.distribution())[0])


def _reachable() -> bool:
    try:
        return bool(host.apt_sources())
    except Fault:
        return False


@pytest.mark.skipif(not _reachable(), reason="apt has no sources here")
async def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    wanted = base_of_this_host()
    said: list[str] = []
    first, second = await asyncio.gather(
        make(tmp_path / "1", wanted, say=said.append), make(tmp_path / "2", wanted, say=lambda _: None)
    )
    assert _digest(first.tar) == _digest(second.tar)
    assert "installing essential packages" in said
    assert kept(tmp_path / "1", wanted) == first
    assert first.size < 130_000_000
    with tarfile.open(first.tar) as archive:
        names = set(archive.getnames())
        modes = {entry.name: entry.mode for entry in archive}
    assert "./usr/bin/apt-get" in names
    assert "./usr/sbin/policy-rc.d" in names
    assert modes["./usr/bin/passwd"] == 0o4755
    assert not any(
        name.startswith(("./usr/share/man/man", "./var/lib/apt/lists/partial/", "./dev/sda")) for name in names
    )
    assert not any(name.endswith("_Packages") for name in names)


async def test_a_suite_that_the_mirror_lacks_is_named(tmp_path: Path) -> None:
    wanted = base_of_this_host()
    elsewhere = tuple(host.Source(source.uri, "nosuchsuite", "main") for source in wanted.sources[:1])
    with pytest.raises(Fault, match="does not answer for nosuchsuite") as caught:
        await make(tmp_path, Ingredients(wanted.recipe, elsewhere, ()), say=lambda _: None)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert not list(tmp_path.glob("*.tar"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
