"""Source text as highlighted lines of safe HTML."""

from __future__ import annotations

from markupsafe import Markup, escape

LONGEST = 200_000
LONGEST_LINE = 5_000


def lines(filename: str, text: str) -> list[Markup]:
    """One per line, without newlines. A file that is large, or of no known language, is left plain."""
    plain = text.removesuffix("\n").split("\n")
    if len(text) > LONGEST or any(len(line) > LONGEST_LINE for line in plain):
        return [escape(line) for line in plain]
    # Imported at the first file shown: the lexers are large and many servers only run pipelines.
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_for_filename(filename, stripnl=False, ensurenl=True)
    except ClassNotFound:
        return [escape(line) for line in plain]
    shown = highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="c-"))
    coloured = [Markup(line) for line in shown.removesuffix("\n").split("\n")]  # noqa: S704 -- Pygments escapes it
    return coloured if len(coloured) == len(plain) else [escape(line) for line in plain]
