"""Certificates for small sites: an authority, one server, one client; made by the openssl program of the host.

The files have the names that docker's clients expect, so that `DOCKER_CERT_PATH=DIR DOCKER_TLS_VERIFY=1` is all that a
client needs: ca.pem, cert.pem and key.pem beside the server's server-cert.pem and server-key.pem.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from riad.kernel.faults import Fault, Kind, conflict, invalid, unavailable

FILES = ("ca.pem", "ca-key.pem", "server-cert.pem", "server-key.pem", "cert.pem", "key.pem")
_NAME = re.compile(r"[a-zA-Z0-9*]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?")


def make(folder: Path, hosts: Sequence[str], *, days: int) -> None:
    """Writes `FILES` into `folder`, keys readable by their owner only. `hosts`: names and addresses of the server.

    Raises CONFLICT where one of the files is there already, INVALID for a host, UNAVAILABLE without openssl.
    """
    names = alternative_names(hosts)
    folder.mkdir(parents=True, exist_ok=True)
    if there := [name for name in FILES if (folder / name).exists()]:
        raise conflict(f"{folder / there[0]} is there already; choose another folder, or move it away first")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as made:
        work = Path(made)
        _authority(work, days)
        _signed(work, "server-cert.pem", "server-key.pem", hosts[0], f"subjectAltName={names}", "serverAuth", days)
        _signed(work, "cert.pem", "key.pem", "client", "", "clientAuth", days)
        for name in FILES:
            (work / name).chmod(0o400 if "key" in name else 0o444)
            (work / name).rename(folder / name)


def alternative_names(hosts: Sequence[str]) -> str:
    """As openssl writes them: `DNS:a,IP:10.0.0.1`. Raises INVALID."""
    if not hosts:
        raise invalid("name at least one host (name or address) that clients will use for the server")
    return ",".join(map(_alternative, hosts))


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        pass
    if not _NAME.fullmatch(host):
        raise invalid(f"{host!r} is neither a host name nor an address")
    return f"DNS:{host}"


def _authority(work: Path, days: int) -> None:
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
        "-days", str(days), "-subj", "/CN=Riad engine authority",
        "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", str(work / "ca-key.pem"), "-out", str(work / "ca.pem"),
    )  # fmt: skip


def _signed(work: Path, certificate: str, key: str, name: str, names: str, purpose: str, days: int) -> None:
    request, extensions = work / "request", work / "extensions"
    lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", f"extendedKeyUsage={purpose}"]
    extensions.write_text("\n".join([*lines, names]) + "\n")
    _openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
        "-subj", f"/CN={name[:64]}", "-keyout", str(work / key), "-out", str(request),
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(work / "ca.pem"), "-CAkey", str(work / "ca-key.pem"),
        "-CAcreateserial", "-sha256", "-days", str(days), "-extfile", str(extensions), "-out", str(work / certificate),
    )  # fmt: skip


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, umask=0o077)
    except FileNotFoundError:
        raise unavailable("openssl is missing on this host (apt-get install openssl)") from None
    if done.returncode != 0:
        raise Fault(Kind.INTERNAL, f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
