"""`--security-opt`: what confines the process beyond namespaces and capabilities, pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from riad.engine.containers.seccomp_custom import Profile, parse_profile
from riad.kernel.faults import invalid, unsupported

_TRUTH = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


@dataclass(frozen=True, slots=True)
class Security:
    """`seccomp` is "default", "unconfined" or a profile of the user's; `apparmor` "" is the engine's own."""

    no_new_privileges: bool = False
    seccomp: str | Profile = "default"
    system_paths: bool = False
    writable_cgroups: bool = False
    apparmor: str = ""


def read_security(options: Iterable[str]) -> Security:
    """Raises INVALID with Docker's sentences for what it does not know, UNSUPPORTED for labels of SELinux."""
    found = Security()
    for option in options:
        if option == "no-new-privileges":
            found = replace(found, no_new_privileges=True)
        elif option != "disable":  # the old form of label=disable
            found = _with(found, option)
    return found


def _with(found: Security, option: str) -> Security:
    key, separator, value = option.partition("=" if "=" in option else ":")
    if not separator:
        raise invalid(f'invalid --security-opt 1: "{option}"')
    match key:
        case "no-new-privileges":
            return replace(found, no_new_privileges=_truth(option, value))
        case "writable-cgroups":
            return replace(found, writable_cgroups=_truth(option, value))
        case "seccomp" if value in ("unconfined", "builtin", "default"):
            return replace(found, seccomp="unconfined" if value == "unconfined" else "default")
        case "seccomp":
            return replace(found, seccomp=parse_profile(value))
        case "apparmor":
            return replace(found, apparmor=value)
        case "systempaths" if value == "unconfined":
            return replace(found, system_paths=True)
        case "label" if value == "disable":
            return found  # without SELinux nothing is labelled anyway
        case "label":
            raise unsupported(f'--security-opt "{option}": this engine does not label for SELinux; only label=disable')
    raise invalid(f'invalid --security-opt 2: "{option}"')


def _truth(option: str, value: str) -> bool:
    if value not in _TRUTH:
        raise invalid(f'invalid --security-opt 2: "{option}"')
    return _TRUTH[value]
