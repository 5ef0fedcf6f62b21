"""The default seccomp profile: read from `seccomp.txt` (its head explains the form), narrowed to host and container.

What comes out is `linux.seccomp` of the OCI runtime specification (config-linux.md#seccomp).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

_EPERM = 1
_ARCHITECTURES = {
    "amd64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "arm64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
}
_OPERATORS = {"<": "SCMP_CMP_LT", "==": "SCMP_CMP_EQ", ">": "SCMP_CMP_GT"}
_ARGUMENT = re.compile(r"arg(?P<index>\d)(?:&(?P<mask>0x[0-9a-f]+))?(?P<op><|==|>)(?P<value>\d+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """`names` are allowed, or fail with `errno`, where all of `conditions` and none of `exceptions` hold."""

    names: tuple[str, ...]
    errno: int | None
    conditions: tuple[str, ...]
    exceptions: tuple[str, ...]


@lru_cache(maxsize=16)
def profile(*, capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> dict[str, Any]:
    """The profile for a container that has `capabilities`. Treat the result as read-only: it is shared."""
    syscalls = []
    for rule in rules():
        holds = [_holds(text, capabilities=capabilities, arch=arch, kernel=kernel) for text in rule.conditions]
        spared = any(_holds(text, capabilities=capabilities, arch=arch, kernel=kernel) for text in rule.exceptions)
        if all(holds) and not spared:
            syscalls.append(_syscall(rule))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": list(_ARCHITECTURES.get(arch, ())),
        "syscalls": syscalls,
    }


@cache
def rules() -> tuple[Rule, ...]:
    text = resources.files(__package__).joinpath("seccomp.txt").read_text()
    return tuple(_parse(text))


def _parse(text: str) -> Iterator[Rule]:
    head, names = "", list[str]()
    for line in [*text.splitlines(), "end"]:
        if line.startswith("  "):
            names += line.split()
        elif line and not line.startswith("#"):
            if head:
                yield _rule(head, tuple(names))
            head, names = line, []


def _rule(head: str, names: tuple[str, ...]) -> Rule:
    head, _, exceptions = head.partition(" unless ")
    action, _, conditions = head.partition(" if ")
    errno = int(action.split()[1]) if action.startswith("errno") else None
    return Rule(names, errno, tuple(conditions.split()), tuple(exceptions.split()))


def _holds(condition: str, *, capabilities: Collection[str], arch: str, kernel: tuple[int, int]) -> bool:
    """Conditions on arguments are the kernel's to check, so they hold here."""
    if condition.startswith("cap:"):
        return condition[4:] in capabilities
    if condition.startswith("arch:"):
        return arch in condition[5:].split(",")
    if condition.startswith("kernel>="):
        major, minor = condition[8:].split(".")
        return kernel >= (int(major), int(minor))
    return True


def _syscall(rule: Rule) -> dict[str, Any]:
    shape: dict[str, Any] = {"names": list(rule.names)}
    if rule.errno is None:
        shape["action"] = "SCMP_ACT_ALLOW"
    else:
        shape |= {"action": "SCMP_ACT_ERRNO", "errnoRet": rule.errno}
    if arguments := [_argument(found) for text in rule.conditions if (found := _ARGUMENT.fullmatch(text))]:
        shape["args"] = arguments
    return shape


def _argument(found: re.Match[str]) -> dict[str, Any]:
    index, value = int(found["index"]), int(found["value"])
    if found["mask"]:
        return {"index": index, "value": int(found["mask"], 16), "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"index": index, "value": value, "op": _OPERATORS[found["op"]]}
