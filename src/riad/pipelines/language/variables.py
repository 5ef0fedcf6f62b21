"""`$NAME` and `${NAME}` inside values.

Values may use each other; they are expanded from the innermost out, once. A name in a circle and an unknown name
become what the caller says (GitLab's server leaves an unknown one as it is, its runner makes it empty). `$$` is `$`.
A raw value is never looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from riad.pipelines.language.model import Variable

_USE = re.compile(r"\$\$|\$([A-Za-z_]\w*)|\$\{([A-Za-z_]\w*)\}")
MAX_VALUE = 1024 * 1024


def expand(text: str, values: Mapping[str, str], *, keep_unknown: bool = False) -> str:
    """`text` with each use replaced by its value, once."""
    return _replace(text, values.get, keep_unknown=keep_unknown)


def _replace(text: str, lookup: Callable[[str], str | None], *, keep_unknown: bool) -> str:
    def put(use: re.Match[str]) -> str:
        name = use[1] or use[2]
        if name is None:
            return "$$" if keep_unknown else "$"
        found = lookup(name)
        if found is None:
            return use[0] if keep_unknown else ""
        return found

    return _USE.sub(put, text)


def expand_all(variables: Iterable[Variable]) -> dict[str, str]:
    """Every variable's final value; of a key given twice the later counts."""
    given = {variable.key: variable for variable in variables}
    done: dict[str, str] = {}
    open_: set[str] = set()

    def value(name: str) -> str | None:
        if name in done:
            return done[name]
        variable = given.get(name)
        if variable is None or name in open_:
            return None
        if variable.raw or "$" not in variable.value:
            done[name] = variable.value
        else:
            open_.add(name)
            done[name] = _replace(variable.value, value, keep_unknown=False)[:MAX_VALUE]
            open_.discard(name)
        return done[name]

    for name in given:
        value(name)
    return {name: done[name] for name in given}
