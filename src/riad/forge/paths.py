"""`GROUP/NAME`: how a project is named everywhere. The one parser."""

from __future__ import annotations

from typing import NewType

from riad.identity import names
from riad.kernel.faults import Finding, invalid

ProjectPath = NewType("ProjectPath", str)


def parse(text: str) -> ProjectPath:
    """Raises INVALID, with every reason, unless `text` is GROUP/NAME by the rules of `identity.names`."""
    group, slash, name = text.strip("/").partition("/")
    if not slash or "/" in name:
        raise invalid(
            f"{text[:200]!r} is not a project path: it is GROUP/NAME, such as demo/flask-hello",
            Finding("path", "is not GROUP/NAME"),
        )
    return ProjectPath(f"{names.part(group, what='group')}/{names.part(name, what='path')}")


def slug(name: str) -> str:
    """A path made from a display name: `My App` → `my-app`. Empty where nothing of the name can stay."""
    kept = "".join(c.lower() if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in name)
    while "--" in kept or ".." in kept:
        kept = kept.replace("--", "-").replace("..", ".")
    return kept.strip("-.").removesuffix(".git").removesuffix(".atom").strip("-.")
