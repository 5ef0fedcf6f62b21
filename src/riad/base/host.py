"""What this machine's administrator configured: its distribution, its package mirror, the authorities it trusts."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from riad.kernel.faults import Fault, Kind, unavailable

_OS_RELEASE = Path("/etc/os-release")
_AUTHORITIES = Path("/usr/local/share/ca-certificates")
_PACKAGES = re.compile(r"^'(\S+?)/dists/(\S+?)/([^/\s]+)/binary-[^/\s]+/Packages\S*'", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One line of the package sources: a repository, one suite of it, one component."""

    uri: str
    suite: str
    component: str

    def line(self) -> str:
        return f"deb {self.uri} {self.suite} {self.component}"


def distribution() -> tuple[str, str]:
    """(`debian` or `ubuntu`, codename). Raises UNAVAILABLE on anything else."""
    try:
        found = parse_os_release(_OS_RELEASE.read_text())
    except OSError:
        found = {}
    name, codename = found.get("ID", ""), found.get("VERSION_CODENAME", "")
    if name not in ("debian", "ubuntu") or not codename:
        raise unavailable(
            f"base images are made on Debian or Ubuntu; this host is {found.get('PRETTY_NAME', 'unknown')}"
        )
    return name, codename


def parse_os_release(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def apt_sources() -> list[Source]:
    """Every repository that apt on this host is configured with. Raises UNAVAILABLE where apt is missing or broken."""
    # Unlike `indextargets`, this needs no downloaded package lists and no root.
    command = ["apt-get", "--print-uris", "update"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        raise unavailable("apt-get is not installed: base images are made from apt's package mirror") from None
    if done.returncode != 0:
        raise Fault(Kind.UNAVAILABLE, f"apt-get cannot list its sources: {done.stderr.strip()[-300:]}")
    return parse_uris(done.stdout)


def parse_uris(text: str) -> list[Source]:
    """The binary repositories among what `apt-get --print-uris update` would fetch."""
    return list(dict.fromkeys(Source(*found) for found in _PACKAGES.findall(text)))


def sources_for(found: Iterable[Source], host_suite: str, suite: str) -> list[Source]:
    """The distribution's own repositories, turned to another release: `bookworm-updates` → `trixie-updates`.

    Other vendors' repositories are left out; so are components beyond what base images need.
    """
    wanted = {host_suite, f"{host_suite}-updates", f"{host_suite}-security"}
    return list(
        dict.fromkeys(
            Source(source.uri, suite + source.suite.removeprefix(host_suite), source.component)
            for source in found
            if source.suite in wanted and source.component in ("main", "universe")
        )
    )


def extra_authorities(folder: Path = _AUTHORITIES) -> list[Path]:
    """Certificates that the administrator added to the distribution's, in the order of their names."""
    return sorted(folder.rglob("*.crt")) if folder.is_dir() else []


def fingerprint(files: Iterable[Path]) -> str:
    """Changes with the content of the files, not with their names."""
    return hashlib.sha256(
        "".join(sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)).encode()
    ).hexdigest()
