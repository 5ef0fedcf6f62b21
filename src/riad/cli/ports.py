"""Is a TCP port free, and if not, who holds it."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from riad.kernel.faults import conflict, denied

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


def require_free(port: int) -> None:
    """Raises CONFLICT naming the holder and the way out, DENIED where the port needs more rights."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 -- tried, then closed
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise conflict(
                    f"port {port} is taken{_by_whom(port)}; stop that, or choose another port: "
                    f"RIAD_PORT={port + 1 if port < 65535 else 8080} riad up"
                ) from None
            if error.errno == errno.EACCES:
                raise denied(f"port {port} needs root; choose one above 1023 with RIAD_PORT") from None
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise


def _by_whom(port: int) -> str:
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening_inodes(table, port)}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(fd.readlink().name.removeprefix("socket:") in inodes for fd in (folder / "fd").iterdir()):
                return f" by {(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
    return ""


def _listening_inodes(table: str, port: int) -> list[str]:
    try:
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [f"[{row[9]}]" for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]
