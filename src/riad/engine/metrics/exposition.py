"""Prometheus' text format (exposition_formats.md, version 0.0.4), pure.

Written here and not taken from prometheus_client: the engine computes all its values anew at each scrape, so that it
needs a renderer of forty lines and no registry of live counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Value:
    """`suffix` is for the parts of a histogram."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """`kind`: counter, gauge or histogram."""

    name: str
    help: str
    kind: str
    values: tuple[Value, ...]


def render(families: Iterable[Family]) -> str:
    """Families without values are left out."""
    lines: list[str] = []
    held = [family for family in families if family.values]
    written: dict[int, str] = {}  # by identity: most of a container's values share one mapping, and `held` keeps it
    for family in held:
        lines += [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
        for value in family.values:
            labels = written.get(id(value.labels))
            if labels is None:
                labels = written[id(value.labels)] = _labels(value.labels)
            lines.append(f"{family.name}{value.suffix}{labels} {_number(value.value)}")
    return "\n".join(lines) + "\n"


def label_name(text: str) -> str:
    """What may be a label's name: `com.docker.compose/x` becomes `com_docker_compose_x`."""
    return "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in text)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text, quote=True)}"' for name, text in labels.items()) + "}"


@lru_cache(4096)
def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
