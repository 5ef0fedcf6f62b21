"""Detach keys: the sequence (ctrl-p ctrl-q by default) that ends an attachment, not the container. Pure."""

from __future__ import annotations

from riad.kernel.faults import invalid

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROL = {f"ctrl-{character}": code for code, character in enumerate("@abcdefghijklmnopqrstuvwxyz[\\]^_")}
_NAMED = _CONTROL | {"DEL": 127}


def parse_keys(text: str) -> bytes:
    """`ctrl-a,x` → the bytes; the default for none. Raises INVALID with Docker's sentence.

    A key is one character, `DEL`, or `ctrl-` with a letter or one of ``@ [ \\ ] ^ _``.
    """
    try:
        return bytes(_key(key) for key in (text or DEFAULT_KEYS).split(","))
    except (KeyError, ValueError):
        raise invalid(f"Invalid detach keys ({text}) provided") from None


def _key(key: str) -> int:
    return ord(key) if len(key) == 1 and key.isascii() else _NAMED[key if key in _NAMED else key.lower()]


class Detector:
    """Looks for the keys in what a client types, also when they come in pieces.

    >>> keys = Detector(b"\\x10\\x11")
    >>> keys.feed(b"ab\\x10"), keys.feed(b"c"), keys.feed(b"\\x10\\x11d")
    ((b'ab', False), (b'\\x10c', False), (b'', True))
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What may be passed on now, and whether the keys were typed; a beginning of them is held back."""
        data = self._held + data
        place = data.find(self._keys)
        if place >= 0:
            self._held = b""
            return data[:place], True
        keep = next((size for size in range(len(self._keys) - 1, 0, -1) if data.endswith(self._keys[:size])), 0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep], False

    def rest(self) -> bytes:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, b""
        return held
