"""`HostConfig`: the whole of it, put together from its groups."""

from __future__ import annotations

from typing import Any

from riad.engine.containers.model import HostSettings
from riad.engine.dockerapi.create_body import devices, logconfig, mounts, networking, resources, restart, security
from riad.engine.dockerapi.create_body.fields import AT, Json, refuse_unknown
from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field, text_map

_OWN = frozenset(
    ["AutoRemove", "Init", "Runtime", "ContainerIDFile", "ConsoleSize", "Annotations", "Isolation", "StorageOpt"],
)
_KNOWN = _OWN.union(
    *(group.FIELDS for group in (devices, logconfig, mounts, networking, resources, restart, security)),
)


def read_host(body: dict[str, Any]) -> HostSettings:
    """Raises INVALID and UNSUPPORTED as `settings.read_settings` does."""
    refuse_unknown(body, _KNOWN, AT)
    if field(body, "Isolation", str, "", at=AT) not in ("", "default"):
        raise invalid(f"{AT}Isolation: {body['Isolation']} is for Windows")
    if text_map(body, "StorageOpt", at=AT):
        raise unsupported("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
    return HostSettings(
        **mounts.read_mounts(body),
        **networking.read_networking(body),
        **security.read_security(body),
        **resources.read_limits(body),
        **devices.read_devices(body),
        restart=restart.read_restart(field(body, "RestartPolicy", dict, {}, at=AT)),
        log=logconfig.read_log(field(body, "LogConfig", dict, {}, at=AT)),
        auto_remove=field(body, "AutoRemove", bool, False, at=AT),
        init=field(body, "Init", bool, False, at=AT),
        runtime=field(body, "Runtime", str, "", at=AT),
        container_id_file=field(body, "ContainerIDFile", str, "", at=AT),
        console_size=_console_size(body),
        annotations=text_map(body, "Annotations", at=AT),
    )


def _console_size(body: Json) -> tuple[int, ...]:
    size: list[Any] = field(body, "ConsoleSize", list, [], at=AT)
    if len(size) not in (0, 2) or not all(isinstance(number, int) and number >= 0 for number in size):
        raise invalid(f"{AT}ConsoleSize: expected [height, width]")
    return tuple(size) if any(size) else ()
