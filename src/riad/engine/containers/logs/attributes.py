"""What is said of a container beside each line of its log: chosen labels and environment, and its tag. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from riad.kernel.faults import invalid

DEFAULT_TAG = "{{.ID}}"
_FIELD = re.compile(r"\{\{(.*?)\}\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """The container that a log is of. `image_id` begins with `sha256:`; `command` is entrypoint and arguments."""

    id: str
    name: str
    image: str
    image_id: str
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()


_FIELDS: Mapping[str, Callable[[Subject], str]] = {
    "ID": lambda subject: subject.id[:12],
    "FullID": lambda subject: subject.id,
    "Name": lambda subject: subject.name,
    "ImageID": lambda subject: subject.image_id.removeprefix("sha256:")[:12],
    "ImageFullID": lambda subject: subject.image_id,
    "ImageName": lambda subject: subject.image,
    "DaemonName": lambda _: "docker",
    "Command": lambda subject: " ".join(subject.command),
}


def check(options: Mapping[str, str]) -> None:
    """Raises INVALID for a pattern that is none and for a tag that names an unknown field."""
    for option in ("labels-regex", "env-regex"):
        _pattern(options, option)
    for found in _FIELD.finditer(options.get("tag", "")):
        _field(found[1])


def chosen_of(options: Mapping[str, str], subject: Subject) -> dict[str, str]:
    """The labels and variables that `labels`, `labels-regex`, `env` and `env-regex` choose."""
    env = dict(text.split("=", 1) for text in subject.env if "=" in text)
    chosen: dict[str, str] = {}
    for known, option in ((subject.labels, "labels"), (env, "env")):
        names = [name for name in options.get(option, "").split(",") if name in known]
        if (pattern := _pattern(options, f"{option}-regex")) is not None:
            names += [name for name in known if pattern.search(name)]
        chosen |= {name: known[name] for name in names}
    return chosen


def tag(options: Mapping[str, str], subject: Subject, *, default: str = "") -> str:
    """`{{.Name}}/{{.ID}}` filled in; `default` where no tag was asked for."""
    return _FIELD.sub(lambda found: _field(found[1])(subject), options.get("tag") or default)


def details(options: Mapping[str, str], subject: Subject) -> bytes:
    """What `docker logs --details` shows before each line: `key=value` pairs, sorted, escaped as in a URL."""
    chosen = chosen_of(options, subject)
    if options.get("tag"):
        chosen["tag"] = tag(options, subject)
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(chosen.items())).encode()


def _field(text: str) -> Callable[[Subject], str]:
    name = text.strip().removeprefix(".")
    if not text.strip().startswith(".") or name not in _FIELDS:
        known = ", ".join(f"{{{{.{field}}}}}" for field in _FIELDS)
        raise invalid(f"log opt tag: {{{{{text}}}}} is not supported; use {known}")
    return _FIELDS[name]


def _pattern(options: Mapping[str, str], option: str) -> re.Pattern[str] | None:
    if not options.get(option):
        return None
    try:
        return re.compile(options[option])
    except re.error as error:
        raise invalid(f"log opt {option}: {options[option]!r} is not a regular expression: {error}") from None
