"""`LogConfig`: the driver of the log and its options."""

from __future__ import annotations

from riad.engine.containers.logs import options
from riad.engine.containers.model import LogWish
from riad.engine.dockerapi.create_body.fields import AT, Json
from riad.oci.fields import field, text_map

FIELDS = frozenset(["LogConfig"])


def read_log(body: Json) -> LogWish:
    """Raises INVALID for a driver that is not here, and for an option that it does not have."""
    driver = field(body, "Type", str, "", at=AT + "LogConfig/") or options.DEFAULT_DRIVER
    wanted = text_map(body, "Config", at=AT + "LogConfig/")
    options.check(driver, wanted)
    return LogWish(driver, wanted)
