"""Files in and out of a container's file system, put together from real overlays and binds; strangers' archives."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riad.engine.containers.archive.look import go_mode, look, place
from riad.engine.containers.archive.pack import pack
from riad.engine.containers.archive.unpack import Rules, unpack
from riad.engine.host.beneath import open_beneath
from riad.engine.host.rootview import Bound, Layout, View, of_layers, of_process
from riad.kernel.faults import Fault, Kind

pytestmark = pytest.mark.root

OpenView = Callable[..., View]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    root = tmp_path / "layer"
    for name in ("etc", "usr/bin", "tmp", "run"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("inside\n")
    (root / "usr/bin/busybox").write_bytes(b"\x7fELF" * 100)
    (root / "usr/bin/busybox").chmod(0o4755)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/sh").symlink_to("/bin/busybox")
    (root / "dangling").symlink_to("../nowhere/else")
    (root / "escape").symlink_to("../../../../../../../../tmp")
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    return root


@pytest.fixture
def open_view(tmp_path: Path, layer: Path) -> Iterator[OpenView]:
    views = []
    for name in ("diff", "work", "root"):
        (tmp_path / name).mkdir()

    def opened(*bound: Bound, writable: bool = True) -> View:
        layers = [layer] if writable else [layer, tmp_path / "diff"]
        upper, work = (tmp_path / "diff", tmp_path / "work") if writable else (None, None)
        views.append(of_layers(Layout(layers, upper, work, bound, tmp_path / "root")))
        return views[-1]

    yield opened
    for view in views:
        view.close()


def archive(*entries: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    made.seek(0)
    return made


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", **changes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def put(view: View, folder: str, upload: io.BytesIO, *, keep_kinds: bool = True) -> None:
    target = open_beneath(view.root, folder, os.O_PATH | os.O_DIRECTORY)
    try:
        unpack(view.root, target, upload, Rules(keep_kinds=keep_kinds))
    finally:
        os.close(target)


def got(view: View, path: str) -> dict[str, tarfile.TarInfo]:
    data = b"".join(pack(view.root, place(path), container="c1"))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def test_a_view_is_mounted_nowhere_that_the_host_sees(open_view: OpenView, tmp_path: Path) -> None:
    view = open_view()
    put(view, "/tmp", archive((entry("new"), b"x")))
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert (tmp_path / "diff/tmp/new").read_text() == "x"


def test_a_closed_view_keeps_nothing_mounted(open_view: OpenView, tmp_path: Path) -> None:
    open_view().close()
    second = open_view()
    put(second, "/", archive((entry("a"), b"")))


@pytest.mark.parametrize(
    ("path", "name", "link_target", "mode"),
    [
        ("/etc/passwd", "passwd", "", 0o644),
        ("etc/passwd", "passwd", "", 0o644),
        ("/tmp", "tmp", "", 1 << 31 | 1 << 20 | 0o777),
        ("/usr/bin/sh", "sh", "/usr/bin/busybox", 1 << 27 | 0o777),
        ("/bin", "bin", "/usr/bin", 1 << 27 | 0o777),
        ("/bin/", "bin", "", 1 << 31 | 0o755),
        ("/bin/.", ".", "", 1 << 31 | 0o755),
        ("/dangling", "dangling", "/nowhere/else", 1 << 27 | 0o777),
        ("/usr/bin/busybox", "busybox", "", 1 << 23 | 0o755),
        ("/", "/", "", 1 << 31 | 0o755),
    ],
)
def test_looking_tells_gos_mode_and_the_links_target_in_the_container(
    open_view: OpenView, path: str, name: str, link_target: str, mode: int
) -> None:
    seen = look(open_view(writable=False).root, place(path), container="c1")
    assert (seen.name, seen.link_target, seen.mode) == (name, link_target, mode)


@pytest.mark.parametrize("path", ["/nope", "/etc/passwd/x", "/nope/deeper", "/escape/../nope"])
def test_a_missing_path_is_not_found_in_dockers_words(open_view: OpenView, path: str) -> None:
    with pytest.raises(Fault) as caught:
        look(open_view().root, place(path), container="t1")
    assert caught.value.kind is Kind.NOT_FOUND
    assert caught.value.message == f"Could not find the file {path} in container t1"


def test_a_link_out_of_the_container_stays_in_it(open_view: OpenView, tmp_path: Path) -> None:
    view = open_view()
    put(view, "/escape", archive((entry("caught"), b"x")))
    assert (tmp_path / "diff/tmp/caught").exists()
    assert not Path("/tmp/caught").exists()


def test_a_tar_is_rooted_at_the_last_part_of_the_path(open_view: OpenView) -> None:
    view = open_view(writable=False)
    assert sorted(got(view, "/usr/bin")) == ["bin", "bin/busybox", "bin/sh"]
    assert sorted(got(view, "/usr/bin/.")) == [".", "./busybox", "./sh"]
    assert list(got(view, "/bin")) == ["bin"]
    assert got(view, "/bin")["bin"].linkname == "usr/bin"
    assert list(got(view, "/etc/passwd")) == ["passwd"]


def test_what_was_written_is_read_back_with_owner_mode_time_and_links(open_view: OpenView) -> None:
    view = open_view()
    upload = archive(
        (entry("d", tarfile.DIRTYPE, mode=0o2750, uid=7, gid=8, mtime=1_000_000_000), b""),
        (entry("d/file", mode=0o4711, uid=1000, gid=1001, mtime=1_111_111_111), b"x" * 700_000),
        (entry("d/link", tarfile.SYMTYPE, "/etc/shadow"), b""),
        (entry("d/hard", tarfile.LNKTYPE, "d/file"), b""),
        (entry("d/pipe", tarfile.FIFOTYPE, mode=0o600), b""),
    )
    put(view, "/tmp", upload)
    found = got(view, "/tmp/d")
    assert (found["d"].mode, found["d"].uid, found["d"].gid, found["d"].mtime) == (0o2750, 7, 8, 1_000_000_000)
    file = found["d/file"]
    assert (file.mode, file.uid, file.gid, file.mtime, file.size) == (0o4711, 1000, 1001, 1_111_111_111, 700_000)
    assert found["d/link"].linkname == "/etc/shadow"
    assert found["d/hard"].islnk() and found["d/hard"].linkname == "d/file"
    assert found["d/pipe"].isfifo()


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_compressed_uploads_are_taken(open_view: OpenView, tmp_path: Path, compression: str) -> None:
    put(open_view(), "/tmp", archive((entry("f"), b"content"), mode=f"w:{compression}"))
    assert (tmp_path / "diff/tmp/f").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["../../out", "/../../out", "a/../../../out", "/out"])
def test_names_cannot_leave_the_directory_they_are_unpacked_into(
    open_view: OpenView, tmp_path: Path, name: str
) -> None:
    put(open_view(), "/tmp", archive((entry(name), b"x")))
    assert (tmp_path / "diff/tmp/out").exists()


def test_a_link_of_the_archive_cannot_lead_a_later_entry_out_of_the_container(
    open_view: OpenView, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    view = open_view()
    for target in (str(outside), "../../../../../.." + str(outside)):
        with pytest.raises(Fault) as caught:
            put(view, "/tmp", archive((entry("way", tarfile.SYMTYPE, target), b""), (entry("way/in"), b"x")))
        assert caught.value.kind is Kind.INVALID
    assert list(outside.iterdir()) == []


def test_a_directory_and_something_else_never_replace_each_other_when_told_so(open_view: OpenView) -> None:
    view = open_view()
    put(view, "/tmp", archive((entry("d", tarfile.DIRTYPE), b""), (entry("f"), b"")))
    with pytest.raises(Fault, match=r'cannot overwrite directory "/d" with non-directory'):
        put(view, "/tmp", archive((entry("d"), b"")))
    with pytest.raises(Fault, match=r'cannot overwrite non-directory "/f" with directory'):
        put(view, "/tmp", archive((entry("f", tarfile.DIRTYPE), b"")))
    put(view, "/tmp", archive((entry("d"), b"now a file"), (entry("f", tarfile.DIRTYPE), b"")), keep_kinds=False)
    assert got(view, "/tmp/d")["d"].isreg()
    assert got(view, "/tmp/f")["f"].isdir()


def test_a_link_in_the_container_is_replaced_not_followed(open_view: OpenView, tmp_path: Path) -> None:
    put(open_view(), "/usr/bin", archive((entry("sh"), b"mine")))
    assert not (tmp_path / "diff/usr/bin/sh").is_symlink()
    assert not (tmp_path / "diff/usr/bin/busybox").exists()


def test_links_of_the_container_on_the_way_are_followed_inside(open_view: OpenView, tmp_path: Path) -> None:
    put(open_view(), "/", archive((entry("var/run/pid"), b"1"), (entry("bin/tool"), b"x")))
    assert (tmp_path / "diff/run/pid").read_text() == "1"
    assert (tmp_path / "diff/usr/bin/tool").exists()


def test_volumes_are_seen_and_written(open_view: OpenView, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "kept").write_text("v")
    view = open_view(Bound(volume, "/data/deep"), Bound(volume / "kept", "/etc/one-file"))
    put(view, "/data/deep", archive((entry("new"), b"n")))
    assert (volume / "new").read_text() == "n"
    assert sorted(got(view, "/data")) == ["data", "data/deep", "data/deep/kept", "data/deep/new"]
    assert got(view, "/etc/one-file")["one-file"].size == 1


def test_a_read_only_volume_refuses(open_view: OpenView, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    with pytest.raises(Fault, match="read-only") as caught:
        put(open_view(Bound(volume, "/data", read_only=True)), "/data", archive((entry("x"), b"")))
    assert caught.value.kind is Kind.DENIED


def test_a_volume_behind_a_link_of_the_image_is_mounted_inside(open_view: OpenView, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    put(open_view(Bound(volume, "/escape/vol")), "/tmp/vol", archive((entry("x"), b"")))
    assert (volume / "x").exists()


def test_overlayfs_attributes_cannot_be_smuggled_in(open_view: OpenView, tmp_path: Path) -> None:
    bad = entry("d/f")
    bad.pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.mine": "1"}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(bad)
    made.seek(0)
    put(open_view(), "/tmp", made)
    assert "trusted.overlay.opaque" not in os.listxattr(tmp_path / "diff/tmp/d/f")


@pytest.mark.parametrize("data", [b"", b"not a tar at all", b"\x1f\x8b\x08broken", b"\0" * 100])
def test_a_broken_archive_is_refused_or_empty_never_a_crash(open_view: OpenView, data: bytes) -> None:
    answers: list[Kind | None] = [None]
    try:
        put(open_view(), "/tmp", io.BytesIO(data))
    except Fault as fault:
        answers.append(fault.kind)
    assert answers[-1] in (None, Kind.INVALID)


def test_a_process_is_seen_with_its_own_root() -> None:
    with of_process(os.getpid()) as view:
        assert stat.S_ISDIR(os.fstat(open_beneath(view.root, "/etc", os.O_PATH)).st_mode)


def test_putting_a_small_file_into_a_resting_container_is_fast(open_view: OpenView) -> None:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        view = open_view()
        put(view, "/tmp", archive((entry("f"), b"x")))
        view.close()
        times.append(time.perf_counter() - begin)
    assert sorted(times)[2] < 0.05


def test_go_modes() -> None:
    assert go_mode(0o41777) == 2148532735
    assert go_mode(0o120777) == 134218239
    assert go_mode(stat.S_IFCHR | 0o666) == 1 << 26 | 1 << 21 | 0o666
