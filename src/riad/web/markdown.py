"""Markdown of strangers (READMEs) as safe HTML: no raw HTML, no scripts, no pictures from elsewhere.

CommonMark with tables, by markdown-it. A picture becomes its name: pages load nothing from other servers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

LONGEST = 300_000


@functools.cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


def render(text: str, *, base: str) -> Markup:
    """`base` is the address that relative links stand on, with a slash at its end."""
    reader = _reader()
    tokens = reader.parse(text[:LONGEST])
    for token in tokens:
        token.children = [_tame(child, base) for child in token.children] if token.children else token.children
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704 -- markdown-it escapes what it is given


def _tame(token: Token, base: str) -> Token:
    if token.type == "image":
        name = _text(token.children or ()) or "picture"
        return Token("text", "", 0, content=f"[{name}]")
    if token.type == "link_open":
        address = str(token.attrGet("href") or "")
        if "://" not in address and not address.startswith(("#", "/", "mailto:")):
            token.attrSet("href", base + address.removeprefix("./"))
        token.attrSet("rel", "nofollow noreferrer noopener")
    return token


def _text(tokens: Sequence[Any]) -> str:
    return "".join(token.content for token in tokens)


def plain(text: str) -> Markup:
    """A README that is no Markdown."""
    return Markup("<pre>{}</pre>").format(text[:LONGEST])


def base_of(project_path: str, ref: str, folder: str) -> str:
    inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
    return quote(f"/{project_path}/-/blob/{ref}/{inside}")
