"""Layers on a real disk: whiteouts, owners, attributes, and archives that mean harm."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from riad.engine.images.local import Images
from riad.engine.images.model import Layer
from riad.engine.state import State
from riad.kernel.faults import Fault, Kind
from riad.kernel.process import run
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.digest import digest_of
from riad.oci.reference import parse_reference

pytestmark = pytest.mark.root


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Images]:
    state = State(tmp_path / "data")
    yield Images(state, tmp_path / "data")
    state.close()


def entry(name: str, content: bytes | None = None, **attributes: object) -> tuple[tarfile.TarInfo, bytes | None]:
    info = tarfile.TarInfo(name)
    info.mtime = 1_700_000_000
    if content is not None:
        info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, **attributes: object) -> tuple[tarfile.TarInfo, bytes | None]:
    return entry(name, **{"type": tarfile.DIRTYPE, "mode": 0o755, **attributes})


def tar(*entries: tuple[tarfile.TarInfo, bytes | None]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    file.seek(0)
    return file


async def test_an_imported_tar_becomes_the_same_files(images: Images) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    archive = tar(
        directory("./", mode=0o711),
        directory("etc", uid=3, gid=4),
        entry("etc/passwd", b"root", mode=0o640, uid=5, gid=6),
        entry("bin/ping", b"ELF", mode=0o4755, pax_headers={"SCHILY.xattr.security.capability": _text(capability)}),
        entry("bin/also", type=tarfile.LNKTYPE, linkname="bin/ping"),
        entry("lib", type=tarfile.SYMTYPE, linkname="usr/lib"),
        entry("dev/null", type=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        entry("run/pipe", type=tarfile.FIFOTYPE, mode=0o600),
    )
    layer = await images.layers.import_tar(archive)
    assert layer.size == 7
    passwd = (layer.path / "etc/passwd").stat()
    assert (stat.S_IMODE(passwd.st_mode), passwd.st_uid, passwd.st_gid, passwd.st_mtime) == (0o640, 5, 6, 1_700_000_000)
    assert (layer.path / "etc").stat().st_mtime == 1_700_000_000
    assert stat.S_IMODE(layer.path.stat().st_mode) == 0o711
    assert stat.S_IMODE((layer.path / "bin/ping").stat().st_mode) == 0o4755
    assert os.getxattr(layer.path / "bin/ping", "security.capability") == capability
    assert (layer.path / "bin/also").stat().st_ino == (layer.path / "bin/ping").stat().st_ino
    assert (layer.path / "lib").readlink() == Path("usr/lib")
    assert (layer.path / "dev/null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((layer.path / "run/pipe").stat().st_mode)


async def test_whiteouts_take_overlay_form_and_come_back(images: Images) -> None:
    archive = tar(
        directory("app"),
        entry("app/.wh..wh..opq", b""),
        entry("app/new", b"x"),
        entry("etc/.wh.gone", b""),
        entry("etc/.wh..wh.plnk", b""),
        entry("etc/.wh.stays", b""),
        entry("etc/stays", b"y"),
        entry("etc/.wh.folder", b""),
        directory("etc/folder"),
    )
    layer = await images.layers.import_tar(archive)
    assert os.getxattr(layer.path / "app", "trusted.overlay.opaque") == b"y"
    gone = os.lstat(layer.path / "etc/gone")
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert (layer.path / "etc/stays").read_bytes() == b"y"
    assert os.getxattr(layer.path / "etc/folder", "trusted.overlay.opaque") == b"y"
    with tarfile.open(fileobj=io.BytesIO(b"".join(images.layers.tar(layer.diff_id)))) as packed:
        assert packed.getnames() == [
            "app",
            "app/.wh..wh..opq",
            "app/new",
            "etc",
            "etc/folder",
            "etc/folder/.wh..wh..opq",
            "etc/.wh.gone",
            "etc/stays",
        ]


async def test_an_adopted_directory_packs_to_its_diff_id_every_time(images: Images, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / ("d" * 60) / "é").mkdir(parents=True)
    (upper / ("d" * 60) / "é" / ("n" * 120)).write_bytes(b"long" * 300)
    (upper / "big-owner").write_bytes(b"1")
    os.chown(upper / "big-owner", 3_000_000, 5)
    os.link(upper / "big-owner", upper / "z-link")
    os.setxattr(upper / "big-owner", "user.note", b"\xff\x00=\n")
    os.mknod(upper / "removed", stat.S_IFCHR, os.makedev(0, 0))
    layer = await images.layers.adopt(upper)
    assert not upper.exists()
    first = b"".join(images.layers.tar(layer.diff_id))
    assert digest_of(first) == layer.diff_id
    again = await images.layers.import_tar(io.BytesIO(first))
    assert again.path == layer.path
    with tarfile.open(fileobj=io.BytesIO(first)) as packed:
        assert packed.getmember("big-owner").uid == 3_000_000
        assert packed.getmember("z-link").linkname == "big-owner"
        assert ".wh.removed" in packed.getnames()
        long = packed.extractfile("d" * 60 + "/é/" + "n" * 120)
        assert long is not None
        assert long.read() == b"long" * 300


async def test_extracting_what_was_packed_gives_the_same_diff_id(images: Images, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "a").mkdir(parents=True)
    (upper / "a" / "f").write_bytes(b"1")
    os.setxattr(upper / "a" / "f", "user.note", b"\xff\x00=\n")
    layer = await images.layers.adopt(upper)
    packed = b"".join(images.layers.tar(layer.diff_id))
    images.layers.unpin(layer.diff_id)
    await images.layers.collect()
    assert not layer.path.exists()
    again = await images.layers.import_tar(io.BytesIO(packed))
    assert again.diff_id == layer.diff_id
    assert os.getxattr(again.path / "a" / "f", "user.note") == b"\xff\x00=\n"
    assert b"".join(images.layers.tar(again.diff_id)) == packed


EVIL = {
    "a name that climbs out": [entry("../escape", b"x")],
    "a name that climbs out further down": [directory("a"), entry("a/../../escape", b"x")],
    "a hard link to the host": [entry("h", type=tarfile.LNKTYPE, linkname="../../../../etc/shadow")],
    "a hard link to nothing": [entry("h", type=tarfile.LNKTYPE, linkname="/etc/shadow")],
    "a file below a file": [entry("f", b"x"), entry("f/g", b"x")],
    "a whiteout of the parent": [entry("a/.wh...", b"")],
    "a file as root": [entry("./", b"x", type=tarfile.REGTYPE)],
}


@pytest.mark.parametrize("name", EVIL)
async def test_a_malicious_archive_is_refused_and_leaves_nothing(images: Images, name: str) -> None:
    with pytest.raises(Fault) as caught:
        await images.layers.import_tar(tar(*EVIL[name]))
    assert caught.value.kind is Kind.INVALID
    assert not list(images.layers.incoming.iterdir())
    assert not images.store.layers()


async def test_links_in_an_archive_never_lead_out_of_the_layer(images: Images, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tar(
        entry("way", type=tarfile.SYMTYPE, linkname=str(outside)),
        entry("way/file", b"x"),
        entry("up", type=tarfile.SYMTYPE, linkname="../../../.."),
        entry("up/file2", b"x"),
        entry("file3", type=tarfile.SYMTYPE, linkname=str(outside / "file3")),
        entry("file3", b"x"),
    )
    with pytest.raises(Fault):
        await images.layers.import_tar(archive)  # the link's target does not exist inside
    assert not list(outside.iterdir())
    archive = tar(
        entry("up", type=tarfile.SYMTYPE, linkname="../../../.."),
        entry("up/file2", b"x"),
        entry("file3", type=tarfile.SYMTYPE, linkname=str(outside / "file3")),
        entry("file3", b"x"),
    )
    layer = await images.layers.import_tar(archive)
    assert (layer.path / "file2").read_bytes() == b"x"
    assert not (layer.path / "file3").is_symlink()
    assert not list(outside.iterdir())


async def test_attributes_that_overlayfs_obeys_are_never_taken_from_strangers(images: Images) -> None:
    info = directory("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.ok": "1"})
    layer = await images.layers.import_tar(tar(info))
    assert os.listxattr(layer.path / "d") == ["user.ok"]


async def test_a_later_entry_replaces_an_earlier_one(images: Images) -> None:
    archive = tar(
        directory("a"), entry("a/x", b"1"), entry("a", b"file"), entry("f", b"1"), directory("f"), entry("f/g", b"2")
    )
    layer = await images.layers.import_tar(archive)
    assert (layer.path / "a").read_bytes() == b"file"
    assert (layer.path / "f/g").read_bytes() == b"2"


@pytest.mark.parametrize("cut", [100, 512, 700, 1100])
async def test_a_cut_off_archive_is_refused(images: Images, cut: int) -> None:
    whole = tar(entry("a", b"x" * 600), entry("b", b"y")).getvalue()
    damaged = whole[:cut] if cut != 512 else whole[:512] + b"\xff" * 512 + whole[1024:1536] + b"\xff" * 512
    with pytest.raises(Fault):
        await images.layers.import_tar(io.BytesIO(damaged))


async def test_what_was_left_half_made_is_cleaned_at_start(tmp_path: Path) -> None:
    root = tmp_path / "data"
    state = State(root)
    images = Images(state, root)
    kept = await images.layers.import_tar(tar(entry("kept", b"1")))
    orphan = await images.layers.import_tar(tar(entry("orphan", b"1")))
    images.create(ImageConfig(config=ContainerConfig()), [kept], [parse_reference("kept")])
    state.close()
    (root / "incoming" / "layer-x").mkdir()
    shutil.copytree(kept.path, root / "layers" / "99")
    state = State(root)
    images = Images(state, root)
    assert images.get("kept").layers == (kept.diff_id,)
    assert kept.path.exists()
    assert not orphan.path.exists()
    assert not (root / "layers" / "99").exists()
    assert not list((root / "incoming").iterdir())
    state.close()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def unpacked(images: Images, data: bytes) -> Layer:
    """A stranger's layer, whose exact bytes have to come back."""
    layer = images.layers.keep(images.layers.unpack(iter([data]), framed=True))
    assert b"".join(images.layers.tar(layer.diff_id)) == data
    return layer


async def test_a_strangers_tar_comes_back_byte_for_byte_though_its_files_are_kept_once(images: Images) -> None:
    archive = tar(
        entry("a", b"first", uid=5),
        directory("d"),
        entry("d/f", b"x" * 5000),
        entry("d/twice", b"old content"),
        entry("link", type=tarfile.SYMTYPE, linkname="d"),
        entry("link/through", b"seen through a link"),
        entry("d/twice", b"new"),
        entry("d/through", b"and replaced beside it"),
        entry("a", type=tarfile.LNKTYPE, linkname="d/f"),
        entry("d", b"a file now"),
        entry("hard", b"h" * 700),
        entry("hard2", type=tarfile.LNKTYPE, linkname="hard"),
        entry("hard", b"other"),
    )
    with pytest.raises(Fault, match="replaces its own files through links"):
        # The one thing that is refused: replaced through a link, so that nobody can tell what was there.
        unpacked(images, archive.getvalue())
    kept = tar(
        entry("a", b"first", uid=5),
        directory("d"),
        entry("d/f", b"x" * 5000),
        entry("d/twice", b"old content"),
        entry("d/twice", b"new"),
        entry("hard", b"h" * 700),
        entry("hard2", type=tarfile.LNKTYPE, linkname="hard"),
        entry("hard", b"other"),
        directory("gone"),
        entry("gone/below", b"replaced with its folder"),
        entry("gone", b"a file now"),
        entry("etc/.wh.removed", b""),
    )
    layer = unpacked(images, kept.getvalue())
    assert (layer.path / "hard2").read_bytes() == b"h" * 700
    assert (layer.path / "gone").read_bytes() == b"a file now"
    assert images.layers.incoming.exists()
    assert not list(images.layers.incoming.iterdir())


@pytest.mark.parametrize("kind", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"])
async def test_sparse_files_stay_sparse_in_every_format_that_gnu_tar_writes(
    images: Images, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "sparse").open("wb") as file:
        for place in range(40):
            file.seek(place * 1_000_000)
            file.write(b"island %d" % place)
        file.truncate(50_000_000)
    (source / "after").write_bytes(b"plain")
    command = ["tar", "-S", *f"--format={kind}".split(), "-C", source, "-cf", tmp_path / "t.tar", "sparse", "after"]
    await run(command, timeout=30)
    layer = unpacked(images, (tmp_path / "t.tar").read_bytes())
    assert (layer.path / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (layer.path / "sparse").stat().st_blocks * 512 < 5_000_000
    assert (layer.path / "after").read_bytes() == b"plain"


async def test_a_directorys_group_does_not_pass_to_what_is_in_it(images: Images) -> None:
    archive = tar(
        directory("staff", mode=0o2775, gid=50, mtime=5),
        entry("staff/file", b"x", mode=0o666),
        entry("made/file", b"x"),
    )
    layer = await images.layers.import_tar(archive)
    assert ((layer.path / "staff").stat().st_gid, stat.S_IMODE((layer.path / "staff").stat().st_mode)) == (50, 0o2775)
    assert (layer.path / "staff").stat().st_mtime == 5
    assert ((layer.path / "staff/file").stat().st_gid, stat.S_IMODE((layer.path / "staff/file").stat().st_mode)) == (
        0,
        0o666,
    )
    assert stat.S_IMODE((layer.path / "made").stat().st_mode) == 0o755


async def test_what_means_harm_is_refused_and_leaves_nothing(images: Images, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    harmful = {
        "leads outside": tar(entry("../../outside/planted", b"x")),
        "hard link": tar(entry("stolen", type=tarfile.LNKTYPE, linkname=f"{outside}/secret")),
        "deep": tar(entry("d/" * 300 + "f", b"x")),
        "zero byte": tar(entry("x", b"", pax_headers={"path": "a\0b"})),
    }
    for words, archive in harmful.items():
        with pytest.raises(Fault, match=words) as caught:
            images.layers.unpack(iter([archive.getvalue()]), framed=True)
        assert caught.value.kind is Kind.INVALID
    through = tar(entry("way", type=tarfile.SYMTYPE, linkname=str(outside)), entry("way/planted", b"x"))
    with contextlib.suppress(Fault):
        unpacked(images, through.getvalue())
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert not list(images.layers.incoming.iterdir())
