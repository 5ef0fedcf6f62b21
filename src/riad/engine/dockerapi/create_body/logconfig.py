"""`LogConfig`: the driver of the log and its options."""

from __future__ import annotations

from collections.abc import Mapping

from riad.engine.containers.logs import log_limit
from riad.engine.containers.model import LogWish
from riad.engine.dockerapi.create_body.fields import AT, Json
from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field, text_map

FIELDS = frozenset(["LogConfig"])
_LOG_OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": frozenset({"max-size"}),
    "local": frozenset({"max-size"}),
    "none": frozenset(),
}


def read_log(body: Json) -> LogWish:
    """Raises INVALID for a driver that is not here, UNSUPPORTED for an option that it does not have."""
    driver = field(body, "Type", str, "", at=AT + "LogConfig/") or "json-file"
    options = text_map(body, "Config", at=AT + "LogConfig/")
    if driver not in _LOG_OPTIONS:
        raise invalid(
            f"logger: no log driver named '{driver}' is registered; this engine has json-file, local and none"
        )
    for option in options:
        if option not in _LOG_OPTIONS[driver]:
            raise unsupported(f"log option '{option}' of driver {driver} is not supported by this engine")
    if "max-size" in options:
        log_limit(options["max-size"])
    return LogWish(driver, options)
