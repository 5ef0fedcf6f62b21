"""Keeps secrets out of a log that arrives in pieces.

A secret may be cut anywhere between two pieces. So the end of what has arrived is held back as long as it could be the
beginning of a secret, and never longer: everything else goes on at once. Longer secrets win over those inside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASKED = b"[MASKED]"


class Masker:
    def __init__(self, secrets: Iterable[str | bytes]) -> None:
        raw = {s.encode() if isinstance(s, str) else s for s in secrets}
        self._secrets = sorted((s for s in raw if s), key=len, reverse=True)
        self._longest = len(self._secrets[0]) if self._secrets else 0
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def copy(self) -> Masker:
        """The same secrets, nothing held back."""
        return Masker(self._secrets)

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        if self._pattern is None:
            return data
        return self._mask(self._held + data, final=False)

    def finish(self) -> bytes:
        """What was held back, at the end."""
        return self._mask(self._held, final=True) if self._pattern is not None else b""

    def _mask(self, data: bytes, *, final: bool) -> bytes:
        assert self._pattern is not None
        out: list[bytes] = []
        at = 0
        hold = len(data) if final else self._hold(data, 0)
        while (found := self._pattern.search(data, at)) is not None and found.start() < hold:
            out += (data[at : found.start()], MASKED)
            at = found.end()
            if at > hold:
                hold = self._hold(data, at)
        hold = max(hold, at)
        out.append(data[at:hold])
        self._held = data[hold:]
        return b"".join(out)

    def _hold(self, data: bytes, start: int) -> int:
        """Where the longest end of `data` begins that a secret begins with."""
        for at in range(max(start, len(data) - self._longest + 1), len(data)):
            end = data[at:]
            if any(len(secret) > len(end) and secret.startswith(end) for secret in self._secrets):
                return at
        return len(data)
