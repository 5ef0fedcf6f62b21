"""Shell words as Dockerfiles have them: quotes, escapes, `$NAME` and `${NAME…}` with every modifier.

The rules (Dockerfile reference, "Environment replacement"; the modifiers of docker/dockerfile:1):

- single quotes keep everything; double quotes keep all but `$`, and the escape character before `"`, `$` or itself;
- outside quotes the escape character makes the next character literal;
- an unset variable is empty; `$` before no name stands for itself;
- `${v:-w}` `${v-w}` `${v:+w}` `${v+w}` `${v:?w}` `${v?w}` `${v#p}` `${v##p}` `${v%p}` `${v%%p}` `${v/p/r}` `${v//p/r}`,
  where `w` and `r` may hold variables again and `p` knows `*`, `?` and an escape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riad.dockerfile.errors import Mistake
from riad.dockerfile.patterns import longest_suffix, replace, shortest_suffix, span

_SPECIAL = frozenset("@*#?-$!")
_MAX_DEPTH = 50


def expand(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """One word out of `text`: variables replaced, quotes and escapes removed. Raises Mistake."""
    return _Reader(text, variables, escape).read().text


def expand_words(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> list[str]:
    """As `expand`, but white space outside quotes, also that of variables' values, separates words."""
    return _Reader(text, variables, escape).read().words()


def expand_variables(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Replaces variables only: quotes are ordinary characters (the content of a here-document)."""
    return _Reader(text, variables, escape, quotes=False).read().text


def split(text: str, *, escape: str = "\\") -> list[str]:
    """Words separated by white space outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    characters = iter(text)
    for c in characters:
        if not quote and c.isspace():
            if word:
                words.append("".join(word))
                word = []
            continue
        word.append(c)
        if c == escape and quote != "'":
            word.append(next(characters, ""))
        elif quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
    if word:
        words.append("".join(word))
    return words


@dataclass(slots=True)
class _Output:
    """What was read so far; `cuts` marks characters at which words may be split."""

    parts: list[tuple[str, bool]] = field(default_factory=list)

    def literal(self, text: str) -> None:
        self.parts.append((text, False))

    def splittable(self, text: str) -> None:
        self.parts.append((text, True))

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)

    def words(self) -> list[str]:
        words: list[str] = []
        current: str | None = None
        for text, splits in self.parts:
            if not splits:
                current = (current or "") + text
                continue
            for c in text:
                if c.isspace():
                    if current is not None:
                        words.append(current)
                    current = None
                else:
                    current = (current or "") + c
        return words if current is None else [*words, current]


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, *, quotes: bool = True) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._escape = escape
        self._quotes = quotes
        self._depth = 0

    def read(self, stop: str = "", *, raw_escapes: bool = False) -> _Output:
        """Reads to the end of the text, or past the next `stop`. Raises Mistake where `stop` never comes."""
        out = _Output()
        while (c := self._peek()) != "":
            if c == stop:
                self._at += 1
                return out
            if c == "$":
                out.splittable(self._dollar())
            elif c == "'" and self._quotes:
                out.literal(self._single_quoted())
            elif c == '"' and self._quotes:
                out.literal(self._double_quoted(raw_escapes=raw_escapes))
            elif c == self._escape:
                out.literal(self._escaped(raw_escapes=raw_escapes))
            else:
                out.splittable(self._next())
        if stop:
            raise Mistake("syntax error: missing '}'" if stop == "}" else "syntax error: missing '/' in ${}")
        return out

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        c = self._peek()
        self._at += 1
        return c

    def _escaped(self, *, raw_escapes: bool) -> str:
        self._at += 1
        following = self._next()
        if not self._quotes and following != "$" and following != self._escape:
            return self._escape + following
        return self._escape + following if raw_escapes else following

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise Mistake("unexpected end of statement while looking for matching single-quote")
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        return inner

    def _double_quoted(self, *, raw_escapes: bool) -> str:
        self._at += 1
        out: list[str] = []
        while (c := self._peek()) != '"':
            if c == "":
                raise Mistake("unexpected end of statement while looking for matching double-quote")
            if c == "$":
                out.append(self._dollar())
                continue
            self._at += 1
            if c == self._escape and self._peek() in ('"', "$", self._escape):
                c = (c if raw_escapes else "") + self._next()
            out.append(c)
        self._at += 1
        return "".join(out)

    def _dollar(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Mistake(f"syntax error: ${{}} is nested more than {_MAX_DEPTH} deep")
        try:
            return self._braced()
        finally:
            self._depth -= 1

    def _braced(self) -> str:
        if self._peek() == "":
            raise Mistake("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise Mistake("syntax error: bad substitution")
        name = self._name()
        modifier = self._next()
        value = self._variables.get(name)
        if modifier == "}":
            return value or ""
        if modifier == "/":
            return self._replaced(value or "")
        if modifier == ":":
            modifier = self._next()
            if modifier not in ("-", "+", "?"):
                raise Mistake(f"unsupported modifier (:{modifier}) in substitution")
            return self._defaulted(name, value or None, modifier, empty_counts=True)
        if modifier in ("-", "+", "?"):
            return self._defaulted(name, value, modifier, empty_counts=False)
        if modifier in ("#", "%"):
            return self._trimmed(value or "", modifier)
        if modifier == "":
            raise Mistake("syntax error: missing '}'")
        raise Mistake(f"unsupported modifier ({modifier}) in substitution")

    def _defaulted(self, name: str, value: str | None, modifier: str, *, empty_counts: bool) -> str:
        word = self.read("}").text
        if modifier == "-":
            return word if value is None else value
        if modifier == "+":
            return "" if value is None else word
        if value is None:
            raise Mistake(f"{name}: {word or ('is not allowed to be ' + ('empty' if empty_counts else 'unset'))}")
        return value

    def _trimmed(self, value: str, modifier: str) -> str:
        longest = self._peek() == modifier
        if longest:
            self._at += 1
        pattern = self.read("}", raw_escapes=True).text
        if modifier == "#":
            end = span(pattern, value, escape=self._escape, longest=longest)
            return value if end is None else value[end:]
        cut = longest_suffix if longest else shortest_suffix
        return value[: len(value) - cut(pattern, value, escape=self._escape)]

    def _replaced(self, value: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._at += 1
        pattern = self.read("/", raw_escapes=True).text
        replacement = self.read("}").text
        return replace(pattern, value, replacement, escape=self._escape, everywhere=everywhere)

    def _name(self) -> str:
        start = self._at
        first = self._peek()
        if first and first in _SPECIAL:
            self._at += 1
        elif first.isdigit():
            while self._peek().isdigit():
                self._at += 1
        else:
            while (c := self._peek()) and (c == "_" or c.isalnum()):
                self._at += 1
        return self._text[start : self._at]
