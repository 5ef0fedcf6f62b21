"""Which servers are asked for an image, in which order. Pure.

A repository is looked for at the mirrors whose prefix it has (the longest prefix first, then in the order given), then
at its own registry. `--registry-mirror URL` is for docker.io, as dockerd has it; `--registry-mirror PREFIX=URL` for
anything else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from riad.kernel.faults import invalid
from riad.oci.reference import DOCKER_HUB, Reference

_HUB_SERVER = f"registry-1.{DOCKER_HUB}"
CERTIFICATES = (Path("/etc/docker/certs.d"), Path("/etc/riad/certs.d"))
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Mirror:
    """`prefix` is a domain or the beginning of a repository; `url` is http(s)://HOST[:PORT][/PATH]."""

    prefix: str
    url: str


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """`insecure`: HOST[:PORT] or networks that may be spoken to without TLS or with a certificate of unknown origin.

    `certificates`: folders with a folder HOST[:PORT] for each registry that has authorities or wants certificates of
    its own (see `certificates`).
    """

    mirrors: tuple[Mirror, ...] = ()
    insecure: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = CERTIFICATES


@dataclass(frozen=True, slots=True)
class Place:
    """A repository on a server. `base` has no trailing slash; with `insecure`, its scheme is only a first guess."""

    base: str
    path: str
    insecure: bool
    is_mirror: bool = False
    certificates: tuple[Path, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.base).netloc

    def url(self, rest: str) -> str:
        return f"{self.base}/v2/{self.path}/{rest}"


def parse_mirror(text: str) -> Mirror:
    """Raises INVALID."""
    prefix, equals, url = text.partition("=")
    if not equals or "://" in prefix:
        prefix, url = DOCKER_HUB, text
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise invalid(f"invalid mirror {text!r}: expected http(s)://HOST[:PORT] or PREFIX=http(s)://HOST[:PORT]")
    return Mirror(prefix.rstrip("/"), url.rstrip("/"))


def pull_places(reference: Reference, options: RegistryOptions) -> list[Place]:
    """Mirrors first, the registry itself last."""
    fitting = [mirror for mirror in options.mirrors if _covers(mirror.prefix, reference.repository)]
    fitting.sort(key=lambda mirror: len(mirror.prefix), reverse=True)
    return [*(_mirror_place(mirror, reference, options) for mirror in fitting), own_place(reference, options)]


def own_place(reference: Reference, options: RegistryOptions) -> Place:
    """The registry that the name itself says."""
    insecure = is_insecure(reference.domain, options.insecure)
    server = _HUB_SERVER if reference.domain == DOCKER_HUB else reference.domain
    base = f"{'http' if insecure else 'https'}://{server}"
    return Place(base, reference.path, insecure, certificates=options.certificates)


def is_insecure(domain: str, insecure: Iterable[str]) -> bool:
    """Loopback addresses always; otherwise what the administrator listed."""
    host = re.sub(r":\d+$", "", domain).strip("[]")
    if host == "localhost" or host == "::1":
        return True
    address = _address(host)
    if address is not None and address in _LOOPBACK:
        return True
    return any(entry in (domain, host) or _within(address, entry) for entry in insecure)


def _covers(prefix: str, repository: str) -> bool:
    return repository == prefix or repository.startswith(prefix + "/")


def _mirror_place(mirror: Mirror, reference: Reference, options: RegistryOptions) -> Place:
    parts = urlsplit(mirror.url)
    # A mirror of a whole registry has its repositories under their paths; one of a sub-tree replaces the prefix.
    rest = reference.repository.removeprefix(mirror.prefix).strip("/")
    path = "/".join(filter(None, (parts.path.strip("/"), rest)))
    insecure = parts.scheme == "http" or is_insecure(parts.netloc, options.insecure)
    return Place(f"{parts.scheme}://{parts.netloc}", path, insecure, is_mirror=True, certificates=options.certificates)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, network: str) -> bool:
    try:
        return address is not None and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
