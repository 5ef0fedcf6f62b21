"""The templates and what they may call. Everything is escaped unless it is `Markup` made by `ansi` or `markdown`."""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from riad.web import words

if TYPE_CHECKING:
    from riad.web.visit import Visit


@functools.cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("riad.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "duration": words.duration,
        "size": words.size,
        "absolute": words.absolute,
        "initials": words.initials,
        "path": path_quoted,
        "short": lambda digest: digest.partition(":")[2][:12] or digest[:12],
    }
    made.globals |= {"asset": asset, "plural": words.plural, "run_states": words.RUN_STATES}
    return made


def render(template: str, *, visit: Visit, **values: object) -> str:
    from riad.web.pages import notice_of

    now = visit.services.clock.now()

    def when(moment: datetime | None) -> Markup:
        if moment is None:
            return Markup("")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            moment.isoformat(), words.absolute(moment), words.ago(moment, now)
        )

    return (
        environment()
        .get_template(template)
        .render(
            visit=visit,
            user=visit.principal.user,
            csrf=visit.csrf,
            notice=notice_of(visit.request),
            now=now,
            when=when,
            services=visit.services,
            **values,
        )
    )


def path_quoted(text: str) -> str:
    """For the path of an address: slashes stay."""
    return quote(text, safe="/")


@functools.cache
def asset(name: str) -> str:
    """The address of a static file, with a part that changes when the file does."""
    return f"/-/static/{hashlib.sha256(static(name)).hexdigest()[:10]}/{name}"


@functools.cache
def static(name: str) -> bytes:
    """Raises FileNotFoundError."""
    from riad.web import ansi

    if name == "ansi.css":
        return ansi.stylesheet().encode()
    if "/" in name or name.startswith("."):
        raise FileNotFoundError(name)
    return (resources.files("riad.web") / "static" / name).read_bytes()
