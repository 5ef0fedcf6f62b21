"""A root filesystem for engine tests, made of this host's own shell and core utilities: no network, no image needed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

_NAMES = (
    "sh bash cat echo sleep id ls env true false pwd hostname mkdir rmdir touch stat seq head tail dd tty stty sort "
    "yes test cp mv rm ln chmod chown readlink wc tr uname date printf dirname basename whoami grep ps kill mount "
    "nproc getent "
)
_LIBRARY = re.compile(rb"(/\S+) \(0x")


def make(target: Path) -> Path:
    """Fills `target` with a merged-/usr tree: programs, the libraries they need, /etc/passwd and /etc/group."""
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "etc", "tmp", "proc", "sys", "dev", "var", "root", "home"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (target / link).symlink_to("usr/bin" if link == "sbin" else f"usr/{link}")
    (target / "tmp").chmod(0o1777)
    needed: set[Path] = set()
    for name in _NAMES.split():
        if found := shutil.which(name):
            shutil.copy(found, target / "usr/bin" / name)
            listed = subprocess.run(["ldd", found], capture_output=True, check=False).stdout
            needed |= {Path(path.decode()) for path in _LIBRARY.findall(listed)}
    for library in needed:
        place = target / "usr" / library.relative_to("/usr" if str(library).startswith("/usr/") else "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    (target / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"
    )
    (target / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\napp:x:1000:\nextra:x:1234:app\n")
    return target


def make_tar(folder: Path) -> bytes:
    """The same as an archive, as `docker import` takes it."""
    root = make(folder / "rootfs")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(root, arcname=".", filter=_owned_by_root)
    return buffer.getvalue()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
