"""Installed packages, as the package managers themselves note them. Pure.

dpkg: `var/lib/dpkg/status` and distroless' `status.d/*` (deb-control(5)); pip: `*.dist-info/METADATA`,
`*.egg-info/PKG-INFO`; npm: `node_modules/**/package.json`; apk: `lib/apk/db/installed`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_PYTHON = re.compile(r"(?:^|/)[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO)$")
_NPM = re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$")
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """`ecosystem` in OSV's words (`Debian:12`, `PyPI`, `npm`, `Alpine:v3.20`). `source` and `source_version` are what
    advisories of distributions name; for others the same as name and version.
    """

    ecosystem: str
    name: str
    version: str
    source: str
    source_version: str
    path: str

    @property
    def purl(self) -> str:
        """A package URL (github.com/package-url/purl-spec)."""
        family = self.ecosystem.partition(":")[0].lower()
        kind = {"pypi": "pypi", "npm": "npm", "alpine": "apk/alpine"}.get(family, f"deb/{family}")
        return f"pkg:{kind}/{self.name.replace('@', '%40')}@{self.version}"


def is_interesting(path: str) -> bool:
    """Whether a file of an image says something about packages."""
    return (
        path in ("var/lib/dpkg/status", "lib/apk/db/installed", *OS_RELEASE)
        or path.startswith("var/lib/dpkg/status.d/")
        or bool(_PYTHON.search(path) or _NPM.search(path))
    )


def packages_in(files: Mapping[str, bytes]) -> list[Package]:
    """All packages of an image whose interesting files these are, sorted."""
    release = os_release(next((files[path] for path in OS_RELEASE if path in files), b""))
    found: set[Package] = set()
    for path, body in files.items():
        text = body.decode("utf-8", "replace")
        if path.startswith("var/lib/dpkg/"):
            found.update(_debian(text, path, _ecosystem(release)))
        elif path == "lib/apk/db/installed":
            found.update(_alpine(text, path, _ecosystem(release)))
        elif _PYTHON.search(path):
            found.update(_python(text, path))
        elif _NPM.search(path):
            found.update(_npm(text, path))
    return sorted(found)


def os_release(body: bytes) -> Mapping[str, str]:
    """The settings of an os-release file (os-release(5))."""
    pairs = (line.partition("=") for line in body.decode("utf-8", "replace").splitlines())
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}


def _ecosystem(release: Mapping[str, str]) -> str:
    version = release.get("VERSION_ID", "")
    match release.get("ID", ""):
        case "ubuntu":
            return f"Ubuntu:{version}"
        case "alpine":
            return f"Alpine:v{'.'.join(version.split('.')[:2])}"
        case _:
            return f"Debian:{version}" if version else "Debian"


def _debian(text: str, path: str, ecosystem: str) -> Iterator[Package]:
    for fields in _paragraphs(text):
        name, version = fields.get("Package", ""), fields.get("Version", "")
        # status.d has no Status; elsewhere only what is installed counts.
        if not name or not version or fields.get("Status", "ok installed").rpartition(" ")[2] != "installed":
            continue
        source = _SOURCE.fullmatch(fields.get("Source", name))
        named, of = (source[1], source[2] or version) if source else (name, version)
        yield Package(ecosystem, name, version, named, of, path)


def _paragraphs(text: str) -> Iterator[Mapping[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        pairs = (line.partition(":") for line in block.splitlines() if line[:1] not in (" ", "\t"))
        yield {name: value.strip() for name, colon, value in pairs if colon}


def _alpine(text: str, path: str, ecosystem: str) -> Iterator[Package]:
    for block in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in block.splitlines() if line[1:2] == ":"}
        if "P" in fields and "V" in fields:
            yield Package(ecosystem, fields["P"], fields["V"], fields.get("o", fields["P"]), fields["V"], path)


def _python(text: str, path: str) -> Iterator[Package]:
    fields = next(iter(_paragraphs(text)), {})
    name, version = fields.get("Name", ""), fields.get("Version", "")
    if name and version:
        named = re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
        yield Package("PyPI", named, version, named, version, path)


def _npm(text: str, path: str) -> Iterator[Package]:
    try:
        found = json.loads(text)
        name, version = found.get("name"), found.get("version")
    except (ValueError, AttributeError, RecursionError):
        return
    if isinstance(name, str) and isinstance(version, str) and name and version:
        yield Package("npm", name, version, name, version, path)


def by_ecosystem(packages: Iterable[Package]) -> Mapping[str, int]:
    """How many there are of each kind."""
    counted: dict[str, int] = {}
    for package in packages:
        counted[package.ecosystem] = counted.get(package.ecosystem, 0) + 1
    return counted
