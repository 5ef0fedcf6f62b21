"""The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?`, an escape, else characters.

Matched by following all possible positions at once: linear in text times pattern, so that no pattern can stall a build.
"""

from __future__ import annotations

from itertools import pairwise

_Token = str | None  # a character; "" for any one character; None for any run of characters


def span(pattern: str, text: str, *, escape: str, longest: bool) -> int | None:
    """The length of the longest or shortest prefix of `text` that matches; None where none does."""
    ends = _ends(_tokens(pattern, escape), text)
    return (max(ends) if longest else min(ends)) if ends else None


def longest_suffix(pattern: str, text: str, *, escape: str) -> int:
    """The length of the longest suffix that matches, 0 where none does."""
    return max(_ends(_tokens(pattern, escape)[::-1], text[::-1]), default=0)


def shortest_suffix(pattern: str, text: str, *, escape: str) -> int:
    return min(_ends(_tokens(pattern, escape)[::-1], text[::-1]), default=0)


def replace(pattern: str, text: str, replacement: str, *, escape: str, everywhere: bool) -> str:
    """The leftmost longest match, or all of them, replaced; an empty pattern matches nothing."""
    tokens = _tokens(pattern, escape)
    out: list[str] = []
    at = 0
    while tokens and at < len(text):
        end = max(_ends(tokens, text[at:]), default=0)
        if not end:
            out.append(text[at])
            at += 1
            continue
        out.append(replacement)
        at += end
        if not everywhere:
            break
    return "".join(out) + text[at:]


def _tokens(pattern: str, escape: str) -> list[_Token]:
    tokens: list[_Token] = []
    characters = iter(pattern)
    for c in characters:
        if c == escape:
            tokens.append(next(characters, escape))
        elif c == "*":
            tokens.append(None)
        else:
            tokens.append("" if c == "?" else c)
    return [token for token, following in pairwise([*tokens, "end"]) if not (token is None and following is None)]


def _ends(tokens: list[_Token], text: str) -> set[int]:
    positions = {0}
    for token in tokens:
        if token is None:
            positions = set(range(min(positions), len(text) + 1))
        else:
            positions = {p + 1 for p in positions if p < len(text) and (not token or text[p] == token)}
        if not positions:
            break
    return positions
