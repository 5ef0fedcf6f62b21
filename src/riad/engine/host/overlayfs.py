"""Root filesystems: read-only layers, bottom to top, under one writable folder, through the kernel's overlayfs.

mount(2) takes at most one page of options. Where the layers' paths do not fit, each folder is opened and named
`/proc/self/fd/N`, which leaves room for more layers than the kernel stacks (500).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from riad.engine.host import mounts

_OPTIONS_LIMIT = 4095


def mount(lowers: Sequence[Path], upper: Path | None, work: Path | None, target: Path) -> None:
    """Mounts `lowers` (bottom first) with `upper` writable over them on `target`; read-only where `upper` is None.

    `upper` and `work` are on one filesystem and exist; `work` is empty. `lowers` may not be empty.
    """
    if upper is None and len(lowers) == 1:
        mounts.bind(lowers[0], target, read_only=True)  # overlayfs wants two layers where none is writable
        return
    options = mount_options([str(path) for path in lowers], upper, work)
    if len(options.encode()) <= _OPTIONS_LIMIT:
        mounts.mount("overlay", target, kind="overlay", data=options)
        return
    with _opened(lowers) as names:
        mounts.mount("overlay", target, kind="overlay", data=mount_options(names, upper, work))


def mount_options(lowers: Sequence[str], upper: Path | None, work: Path | None) -> str:
    """The option text of mount(2) for layers given bottom first.

    >>> mount_options(["/a", "/b"], Path("/u"), Path("/w"))
    'lowerdir=/b:/a,upperdir=/u,workdir=/w'
    """
    text = "lowerdir=" + ":".join(_escaped(path) for path in reversed(lowers))
    if upper is not None and work is not None:
        text += f",upperdir={_escaped(str(upper))},workdir={_escaped(str(work))}"
    return text


def unmount(target: Path) -> bool:
    return mounts.unmount(target)


def _escaped(path: str) -> str:
    for char in "\\:,":
        path = path.replace(char, "\\" + char)
    return path


@contextmanager
def _opened(folders: Sequence[Path]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        names = []
        for folder in folders:
            handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, handle)
            names.append(f"/proc/self/fd/{handle}")
        yield names
