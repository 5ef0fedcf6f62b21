"""How a layer says that something below it is gone (image-spec, layer.md, "Whiteouts").

In a layer's tar an empty file `.wh.NAME` removes NAME, and `.wh..wh..opq` hides all that a directory has in lower
layers. On disk, in overlayfs' form, a removed name is a character device 0/0, and an opaque directory has an extended
attribute `trusted.overlay.opaque` = `y`. Names that begin with `.wh..wh.` are reserved and never become files.
"""

from __future__ import annotations

import stat

PREFIX = ".wh."
RESERVED = ".wh..wh."
OPAQUE = ".wh..wh..opq"
OPAQUE_XATTR = "trusted.overlay.opaque"
OVERLAY_XATTRS = "trusted.overlay."


def removed_name(name: str) -> str | None:
    """The name that the tar entry `name` (last component) removes, or None where it is an ordinary file."""
    if not name.startswith(PREFIX) or name.startswith(RESERVED):
        return None
    return name.removeprefix(PREFIX)


def marker(name: str) -> str:
    """The tar entry (last component) that removes `name`."""
    return PREFIX + name


def is_whiteout_device(mode: int, device: int) -> bool:
    """Whether `st_mode` and `st_rdev` are overlayfs' mark of a removed name."""
    return stat.S_ISCHR(mode) and device == 0
