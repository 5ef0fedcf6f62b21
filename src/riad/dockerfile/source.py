"""From text to statements: parser directives, comments, continued lines, here-documents, flags.

Line rules (Dockerfile reference, "Format", "Parser directives", "Here-Documents"):

- directives are comments `# name=value` before anything else; `escape` is `\\` or a backtick;
- a comment or an empty line inside a continued statement vanishes without ending it;
- a line continues where it ends in one escape character, white space after it allowed; two of them are text;
- RUN, COPY and ADD (also under ONBUILD) may open here-documents, whose lines follow the statement's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from riad.dockerfile import words
from riad.dockerfile.errors import Mistake, at_line
from riad.kernel.faults import invalid

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]+)")
_TAKES_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`<<NAME … NAME`. `expand` is False where the name was quoted, `chomp` where leading tabs go (`<<-`)."""

    name: str
    content: str
    expand: bool
    chomp: bool

    @property
    def text(self) -> str:
        """The content without the tabs that `<<-` takes away."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction as written: the keyword in capitals, its flags, the rest; lines count from 1."""

    line: int
    end_line: int
    keyword: str
    flags: tuple[str, ...]
    rest: str
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def text(self) -> str:
        """For people: the statement on one line."""
        return " ".join(filter(None, (self.keyword, *self.flags, self.rest)))


@dataclass(frozen=True, slots=True)
class Source:
    statements: tuple[Statement, ...]
    escape: str
    directives: dict[str, str]


def decode(content: bytes) -> str:
    """The text of a Dockerfile. Raises INVALID where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise at_line(line, "the Dockerfile is not UTF-8 text") from None


def read(text: str) -> Source:
    """All statements of `text`. Raises INVALID, naming the line."""
    lines = text.split("\n")
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    statements = tuple(_Lines(lines, escape).statements())
    if not statements:
        raise invalid("the Dockerfile has no instructions; the first one must be FROM")
    return Source(statements, escape, directives)


def statement(line: int, end_line: int, text: str, escape: str) -> Statement:
    """Splits the text of one logical line into keyword, flags and rest (ONBUILD's inner instruction uses it too)."""
    keyword, *rest = re.split(r"\s+", text.strip(), maxsplit=1)
    flags, remaining = _flags(rest[0] if rest else "", escape)
    return Statement(line, end_line, keyword.upper(), flags, remaining)


def _directives(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        name = match[1].lower()
        if name in found:
            raise at_line(number, f"only one {name} parser directive can be used")
        if name == "escape" and match[2] not in ("\\", "`"):
            raise at_line(number, f"invalid escape token '{match[2]}' does not match ` or \\")
        found[name] = match[2]
    return found


class _Lines:
    def __init__(self, lines: list[str], escape: str) -> None:
        self._lines = lines
        self._at = 0
        self._escape = escape
        self._continued = re.compile(rf"(?:^|(?<=[^{re.escape(escape)}])){re.escape(escape)}[ \t]*$")

    def statements(self) -> Iterator[Statement]:
        while (line := self._next()) is not None:
            start = self._at
            text, continues = self._cut("" if _is_comment(line) else line.lstrip())
            if not continues and not text:
                continue
            while continues and (line := self._next()) is not None:
                if _is_comment(line) or not line.strip():
                    continue
                more, continues = self._cut(line)
                text += more
            if text.strip():
                yield self._finish(start, text)

    def _next(self) -> str | None:
        if self._at >= len(self._lines):
            return None
        self._at += 1
        return self._lines[self._at - 1].rstrip("\r")

    def _cut(self, line: str) -> tuple[str, bool]:
        match = self._continued.search(line)
        return (line[: match.start()], True) if match else (line, False)

    def _finish(self, start: int, text: str) -> Statement:
        try:
            parsed = statement(start, self._at, text, self._escape)
            heredocs = tuple(self._heredocs(parsed))
        except Mistake as mistake:
            raise at_line(start, str(mistake)) from None
        return Statement(start, self._at, parsed.keyword, parsed.flags, parsed.rest, heredocs)

    def _heredocs(self, parsed: Statement) -> Iterator[Heredoc]:
        inner = parsed
        while inner.keyword == "ONBUILD" and inner.rest:
            inner = statement(inner.line, inner.end_line, inner.rest, self._escape)
        if inner.keyword not in _TAKES_HEREDOCS or "<<" not in inner.rest:
            return
        for opened in _opened(inner.rest, self._escape):
            yield self._heredoc(opened)

    def _heredoc(self, opened: Heredoc) -> Heredoc:
        content: list[str] = []
        while self._at < len(self._lines):
            self._at += 1
            raw = self._lines[self._at - 1]
            line = raw.rstrip("\r")
            if (line.lstrip("\t") if opened.chomp else line) == opened.name:
                return Heredoc(opened.name, "".join(content), opened.expand, opened.chomp)
            content.append(raw + "\n")
        raise Mistake(f"unterminated heredoc: no line holds only {opened.name}")


def heredoc_of(word: str, escape: str = "\\") -> Heredoc | None:
    """The (still empty) here-document that one shell word opens, if it opens one."""
    match = _HEREDOC.fullmatch(word)
    if match is None:
        return None
    name = words.expand(match[3], _Itself(), escape=escape)
    return Heredoc(name, "", name == match[3], match[2] == "-") if name else None


class _Itself(dict[str, str]):
    """Every variable stands for its own text: here-document names know no variables."""

    def get(self, key: str, default: object = None) -> str:
        return f"${key}"


def _opened(rest: str, escape: str) -> Iterator[Heredoc]:
    for word in words.split(rest, escape=escape):
        if "<<" in word and (heredoc := heredoc_of(word, escape)) is not None:
            yield heredoc


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _flags(rest: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The `--flags` at the start, unquoted, and what follows. A lone `--` ends them."""
    flags: list[str] = []
    while rest.startswith("--"):
        raw = next(iter(words.split(rest, escape=escape)))
        rest = rest[len(raw) :].lstrip()
        if raw == "--":
            break
        flags.append(_unquoted(raw, escape))
    return tuple(flags), rest


def _unquoted(word: str, escape: str) -> str:
    """Quotes and escapes removed, `$` kept: a flag's variables are expanded later."""
    out: list[str] = []
    quote = ""
    characters = iter(word)
    for c in characters:
        if c == escape and quote != "'":
            following = next(characters, "")
            out.append(c + following if following == "$" else following)
        elif quote and c == quote:
            quote = ""
        elif not quote and c in "'\"":
            quote = c
        else:
            out.append(c)
    return "".join(out)
