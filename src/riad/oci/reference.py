"""Image references as Docker reads them: `[DOMAIN[:PORT]/]PATH[:TAG][@DIGEST]`, with the familiar short forms.

The grammar is that of github.com/distribution/reference: a first component is a domain when it has a dot or a colon,
is `localhost`, or has upper-case letters; otherwise the name belongs to docker.io, a single component to its `library`.
The error sentences are Docker's, because its clients show and compare them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from riad.kernel.faults import invalid
from riad.oci.digest import Digest, parse_digest

DOCKER_HUB = "docker.io"
_OLD_HUB = "index.docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in full. At least the repository is known; `tag` and `digest` are as written, never made up."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """The canonical repository: `docker.io/library/python`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """The repository as people write it: `python`, `user/app`, `localhost:8080/group/app`."""
        if self.domain != DOCKER_HUB:
            return self.repository
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def familiar(self) -> str:
        return self.familiar_repository + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.repository + self._suffix

    def with_default_tag(self) -> Reference:
        """`latest` where neither tag nor digest is written."""
        return self if self.tag or self.digest else replace(self, tag="latest")

    def with_tag(self, tag: str) -> Reference:
        """Raises INVALID where `tag` is not one."""
        return replace(self, tag=parse_tag(tag), digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        return replace(self, tag=None, digest=digest)


def parse_reference(text: str) -> Reference:
    """Reads any form a user may write; raises INVALID with Docker's sentence."""
    if _IDENTIFIER.fullmatch(text):
        raise invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, at, digest_text = text.partition("@")
    digest = _reference_digest(digest_text) if at else None
    name, tag = _split_tag(rest)
    domain, path = _split_domain(name)
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain):
        if path != path.lower() and _PATH.fullmatch(path.lower()):
            raise invalid(f"invalid reference format: repository name ({path}) must be lowercase")
        raise invalid("invalid reference format")
    if tag is not None and not _TAG.fullmatch(tag):
        raise invalid("invalid reference format")
    if len(path) > _LONGEST_NAME:
        raise invalid(f"repository name must not be more than {_LONGEST_NAME} characters")
    return Reference(domain, path, tag, digest)


def parse_tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise invalid("invalid tag format")
    return text


def is_repository_path(text: str) -> bool:
    """Whether `text` may be a repository's path at a registry (lower case, components joined by slashes)."""
    return len(text) <= _LONGEST_NAME and _PATH.fullmatch(text) is not None


def _reference_digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except Exception as error:
        raise invalid("invalid reference format") from error


def _split_tag(text: str) -> tuple[str, str | None]:
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not _looks_like_domain(first):
        domain, path = DOCKER_HUB, name
    else:
        domain, path = (DOCKER_HUB if first == _OLD_HUB else first), rest
    if domain == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _looks_like_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()
