"""What confines the container: capabilities, security options, namespaces shared with others, paths of the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from riad.engine.dockerapi.create_body.fields import AT, Json
from riad.kernel.faults import invalid
from riad.oci.fields import field, text_map, texts

FIELDS = frozenset(
    [
        "CapAdd",
        "CapDrop",
        "CgroupnsMode",
        "GroupAdd",
        "IpcMode",
        "MaskedPaths",
        "PidMode",
        "Privileged",
        "ReadonlyPaths",
        "ReadonlyRootfs",
        "SecurityOpt",
        "Sysctls",
        "UTSMode",
        "UsernsMode",
    ]
)


class Security(TypedDict):
    """Members of `HostSettings`."""

    cap_add: tuple[str, ...]
    cap_drop: tuple[str, ...]
    cgroupns_mode: str
    group_add: tuple[str, ...]
    ipc_mode: str
    pid_mode: str
    uts_mode: str
    userns_mode: str
    privileged: bool
    read_only: bool
    security: tuple[str, ...]
    sysctls: Mapping[str, str]
    masked_paths: tuple[str, ...] | None
    readonly_paths: tuple[str, ...] | None


def read_security(body: Json) -> Security:
    """The options themselves are read where the container is made."""
    if field(body, "UsernsMode", str, "", at=AT) not in ("", "host"):
        raise invalid(f"invalid user namespace mode: {body['UsernsMode']}")
    return Security(
        cap_add=texts(body, "CapAdd", at=AT),
        cap_drop=texts(body, "CapDrop", at=AT),
        cgroupns_mode=field(body, "CgroupnsMode", str, "", at=AT),
        group_add=texts(body, "GroupAdd", at=AT),
        ipc_mode=field(body, "IpcMode", str, "", at=AT),
        pid_mode=field(body, "PidMode", str, "", at=AT),
        uts_mode=field(body, "UTSMode", str, "", at=AT),
        userns_mode=field(body, "UsernsMode", str, "", at=AT),
        privileged=field(body, "Privileged", bool, False, at=AT),
        read_only=field(body, "ReadonlyRootfs", bool, False, at=AT),
        security=texts(body, "SecurityOpt", at=AT),
        sysctls=text_map(body, "Sysctls", at=AT),
        masked_paths=None if body.get("MaskedPaths") is None else texts(body, "MaskedPaths", at=AT),
        readonly_paths=None if body.get("ReadonlyPaths") is None else texts(body, "ReadonlyPaths", at=AT),
    )
