"""One frozen dataclass per process holds its configuration: defaults < file < environment < flags.

`load(ServerConfig, file=..., environ=..., flags=...)` reads a TOML file and variables named `RIAD_<FIELD>`.
An unknown key or a value of the wrong shape is refused with every finding, each with its path.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from riad.kernel.faults import Finding, invalid

T = TypeVar("T")


def load(
    shape: type[T],
    *,
    file: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    prefix: str = "RIAD_",
) -> T:
    """Builds a `shape`. Flags that are None or () count as not given. Raises an INVALID fault with all findings."""
    hints = typing.get_type_hints(shape)
    known = {f.name for f in dataclasses.fields(typing.cast(Any, shape))}
    findings: list[Finding] = []
    values: dict[str, object] = {}
    if file is not None:
        for key, value in _read_file(file).items():
            name = key.replace("-", "_")
            if name not in known:
                findings.append(Finding(f"{file}: {key}", f"unknown setting; known are {', '.join(sorted(known))}"))
            else:
                _take(values, findings, name, f"{file}: {key}", value, hints[name])
    for name in known:
        variable = prefix + name.upper()
        if variable in environ:
            _take(values, findings, name, variable, environ[variable], hints[name])
    for name, value in (flags or {}).items():
        if value is not None and value != ():
            _take(values, findings, name, "--" + name.replace("_", "-"), value, hints[name])
    if findings:
        raise invalid("; ".join(map(str, findings)), *findings)
    return shape(**values)


def _read_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise invalid(f"{file}: no such configuration file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid(f"{file}: not a TOML file: {error}") from None


def _take(
    values: dict[str, object], findings: list[Finding], name: str, path: str, value: object, hint: object
) -> None:
    try:
        values[name] = _shaped(value, hint)
    except (TypeError, ValueError) as error:
        findings.append(Finding(path, str(error)))


def _shaped(value: object, hint: Any) -> object:
    """`value` as the type that `hint` names; text (from the environment) is read, typed values are checked."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return None if value is None or value == "" else _shaped(value, options[0])
    if typing.get_origin(hint) is tuple:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise TypeError(f"{value!r} is not a list")
        return tuple(_shaped(part, typing.get_args(hint)[0]) for part in parts)
    if hint is bool:
        if isinstance(value, str) and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        if not isinstance(value, bool):
            raise TypeError(f"{value!r} is not true or false")
        return value
    if hint is int and isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    if hint in (int, float):
        try:
            return hint(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is not a {'whole ' if hint is int else ''}number") from None
    if hint is Path:
        return Path(str(value))
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
