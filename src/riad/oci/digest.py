"""Content digests: `sha256:<64 hex>` (OCI image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re

from riad.kernel.faults import invalid

_PATTERNS = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}


class Digest(str):
    """A digest whose algorithm is known and whose hex is whole. Made by `parse_digest`, `digest_of` or `from_hash`."""

    __slots__ = ()

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The twelve characters that people compare."""
        return self.hex[:12]

    def hasher(self) -> hashlib._Hash:
        """An empty hash of this digest's algorithm."""
        return hashlib.new(self.algorithm)


def parse_digest(text: str) -> Digest:
    """Raises INVALID where `text` is not ALGORITHM:HEX of sha256 or sha512."""
    algorithm, _, value = text.partition(":")
    pattern = _PATTERNS.get(algorithm)
    if pattern is None or not pattern.fullmatch(value):
        raise invalid(f"invalid digest {text!r}: expected sha256: and 64 lower-case hexadecimal digits")
    return Digest(text)


def digest_of(data: bytes) -> Digest:
    return from_hash(hashlib.sha256(data))


def from_hash(state: hashlib._Hash) -> Digest:
    return Digest(f"{state.name}:{state.hexdigest()}")
