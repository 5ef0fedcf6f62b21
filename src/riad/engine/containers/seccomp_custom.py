"""A seccomp profile of the user's own (`--security-opt seccomp=FILE`), in the form that Docker's profiles have.

It is the form of the runtime specification with conditions: an entry may hold only where the container has, or has not,
certain capabilities, on certain processors, from a certain kernel on (docs.docker.com, "Seccomp security profiles").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riad.kernel.faults import invalid
from riad.oci.fields import field, texts

Json = dict[str, Any]
_BAD = "Decoding seccomp profile failed: "
_PASSED_ON = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
_ENTRY = ("action", "errnoRet", "args")
_GO_ARCHITECTURES = {
    "amd64": "SCMP_ARCH_X86_64",
    "arm64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
    "386": "SCMP_ARCH_X86",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "riscv64": "SCMP_ARCH_RISCV64",
    "s390x": "SCMP_ARCH_S390X",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """As it was written; `narrowed` makes it one for a container."""

    body: Mapping[str, Any]

    def narrowed(self, *, capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> Json:
        """`linux.seccomp` of the runtime specification for a container with `capabilities` on this host."""
        found: Json = {name: self.body[name] for name in _PASSED_ON if self.body.get(name) is not None}
        if architectures := _architectures(self.body, arch):
            found["architectures"] = architectures
        syscalls = []
        for entry in self.body.get("syscalls") or []:
            wanted = _holds(entry.get("includes") or {}, capabilities, arch, kernel, empty=True, every=True)
            spared = _holds(entry.get("excludes") or {}, capabilities, arch, kernel, empty=False, every=False)
            if wanted and not spared:
                syscalls.append(_entry(entry))
        if syscalls:
            found["syscalls"] = syscalls
        return found


def parse_profile(text: str) -> Profile:
    """Raises INVALID with Docker's sentences for text that is no profile."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{_BAD}{error}") from None
    if not isinstance(body, dict):
        raise invalid(f"{_BAD}expected an object")
    if not isinstance(body.get("defaultAction"), str) or not body["defaultAction"].startswith("SCMP_ACT_"):
        raise invalid(f"{_BAD}defaultAction is missing or is not SCMP_ACT_…")
    mapped: list[Any] = field(body, "archMap", list, [], at=_BAD)
    if texts(body, "architectures", at=_BAD) and mapped:
        raise invalid(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or"
            " 'archMap'"
        )
    entries: list[Any] = field(body, "syscalls", list, [], at=_BAD)
    for index, entry in enumerate(entries):
        _check_entry(entry, f"{_BAD}syscalls/{index}")
    return Profile(body)


def _check_entry(entry: Any, at: str) -> None:
    if not isinstance(entry, dict):
        raise invalid(f"{at}: expected an object")
    names, name = texts(entry, "names", at=f"{at}/"), field(entry, "name", str, "", at=f"{at}/")
    if names and name:
        raise invalid("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")
    if not names and not name:
        raise invalid(f"{at}: no system call is named")
    if not field(entry, "action", str, "", at=f"{at}/"):
        raise invalid(f"{at}/action: missing")
    for member in ("includes", "excludes"):
        conditions: Json = field(entry, member, dict, {}, at=f"{at}/")
        texts(conditions, "caps", at=f"{at}/{member}/")
        texts(conditions, "arches", at=f"{at}/{member}/")
        _version(field(conditions, "minKernel", str, "", at=f"{at}/{member}/") or "0.0", f"{at}/{member}/minKernel")
    field(entry, "args", list, [], at=f"{at}/")


def _version(text: str, at: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise invalid(f"{at}: {text!r} is not MAJOR.MINOR")
    return int(major), int(minor)


def _architectures(body: Mapping[str, Any], arch: str) -> list[str]:
    if body.get("architectures"):
        return list(body["architectures"])
    native = _GO_ARCHITECTURES.get(arch, "")
    for row in body.get("archMap") or []:
        if isinstance(row, dict) and row.get("architecture") == native:
            return [native, *(row.get("subArchitectures") or [])]
    return []


def _holds(
    conditions: Mapping[str, Any],
    capabilities: frozenset[str],
    arch: str,
    kernel: tuple[int, int],
    *,
    empty: bool,
    every: bool,
) -> bool:
    """Whether all, or any, of the conditions hold; of several processors one suffices. `empty`: without conditions."""
    found = [name in capabilities for name in conditions.get("caps") or []]
    if arches := conditions.get("arches"):
        found.append(arch in arches)
    if least := conditions.get("minKernel"):
        found.append(kernel >= _version(least, "minKernel"))
    if not found:
        return empty
    return all(found) if every else any(found)


def _entry(entry: Mapping[str, Any]) -> Json:
    names = entry.get("names") or [entry["name"]]
    return {"names": list(names)} | {name: entry[name] for name in _ENTRY if entry.get(name)}
