"""Authorities and certificates for single registries, in the layout that dockerd reads.

Below a folder such as /etc/docker/certs.d, HOST[:PORT]/ may have any number of `*.crt` (authorities, trusted besides
the system's) and pairs of `NAME.cert` and `NAME.key` (shown to the registry).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from riad.kernel.faults import Fault, invalid


def tls_context(folders: Iterable[Path], host: str, *, insecure: bool) -> ssl.SSLContext:
    """For one registry. Raises INVALID naming the file that is wrong."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for folder in folders:
        for file in _files(folder / host):
            _use(context, file)
    return context


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from None


def _use(context: ssl.SSLContext, file: Path) -> None:
    try:
        match file.suffix:
            case ".crt":
                context.load_verify_locations(file)
            case ".cert":
                key = file.with_suffix(".key")
                if not key.exists():
                    raise invalid(
                        f"missing key {key.name} for client certificate {file.name}. "
                        "CA certificates must use the extension .crt"
                    )
                context.load_cert_chain(file, key)
            case ".key" if not file.with_suffix(".cert").exists():
                raise invalid(f"missing client certificate {file.with_suffix('.cert').name} for key {file.name}")
    except OSError as error:  # SSLError is one
        raise _unreadable(file, error) from None


def _unreadable(path: Path, error: OSError) -> Fault:
    return invalid(f"{path}: {error.strerror or error}")
