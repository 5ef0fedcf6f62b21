"""What `--log-driver` and `--log-opt` may say: one table of drivers, checked when a container is created. Pure.

Every driver writes the file first: conmon does, whether the engine runs or not. `json-file` and `local` are that file
(and differ in compression by default); the others are delivered from it, and `docker logs` reads it as their cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.containers.logs import attributes
from riad.engine.containers.logs.drivers import syslog
from riad.kernel.faults import invalid, unsupported

DEFAULT_DRIVER = "json-file"
DEFAULT_SIZE = 20_000_000
DEFAULT_FILES = 5
FILE_DRIVERS = ("json-file", "local")
_FILE = frozenset({"max-size", "max-file", "compress"})
_ATTRIBUTES = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
_CACHE = frozenset({"cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"})
_SYSLOG = frozenset({"syslog-address", "syslog-facility", "syslog-format"})
_TLS = frozenset({"syslog-tls-ca-cert", "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify"})
_MODE = frozenset({"mode", "max-buffer-size"})
DRIVERS: Mapping[str, frozenset[str]] = {
    "json-file": _FILE | _ATTRIBUTES,
    "local": _FILE | _ATTRIBUTES,
    "journald": _ATTRIBUTES | _CACHE,
    "syslog": _ATTRIBUTES | _CACHE | _SYSLOG,
    "none": frozenset(),
}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a log is kept: `files` files of about `size` bytes, the present one included; None = no bound."""

    size: int | None = DEFAULT_SIZE
    files: int = DEFAULT_FILES
    compress: bool = False

    @property
    def while_away(self) -> int | None:
        """Bytes that conmon writes into one file before it begins a new one by itself.

        It does so only where the engine did not in time, because it is not running.
        """
        return None if self.size is None else max(self.size * self.files, 2**25)


def check(driver: str, options: Mapping[str, str]) -> None:
    """Raises INVALID with Docker's sentence for a driver or an option that is not there, or a value that is none."""
    if driver not in DRIVERS:
        raise invalid(
            f"logger: no log driver named '{driver}' is registered; this engine has {', '.join(sorted(DRIVERS))}"
        )
    if driver == "none":
        return
    _check_mode(options)
    for option in options:
        if option in _TLS and driver == "syslog":
            raise unsupported(f"log opt '{option}': this engine does not send logs over TLS; use tcp:// or unix://")
        if option not in DRIVERS[driver] | _MODE:
            where = "log driver local" if driver == "local" else f"{driver} log driver"
            raise invalid(f"unknown log opt '{option}' for {where}")
    bounds(driver, options)
    attributes.check(options)
    if driver == "syslog":
        syslog.read_target(options)


def _check_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise invalid(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        buffer_size(options)


def bounds(driver: str, options: Mapping[str, str]) -> Bounds:
    """Raises INVALID naming the option."""
    prefix = "" if driver in FILE_DRIVERS else "cache-"
    size: int | None = DEFAULT_SIZE
    if (text := options.get(f"{prefix}max-size")) is not None:
        size = None if text.strip() == "-1" else decimal_size(text, option=f"{prefix}max-size")
    files = DEFAULT_FILES
    if (text := options.get(f"{prefix}max-file")) is not None:
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise invalid(f"{prefix}max-file cannot be less than 1: {text!r}")
        files = int(text)
    compress = options.get(f"{prefix}compress")
    wanted = _boolean(compress, f"{prefix}compress") if compress is not None else driver != "json-file"
    if wanted and compress is not None and (files == 1 or size is None):
        raise invalid("compress cannot be true when max-file is less than 2 or max-size is not set")
    return Bounds(size, files, wanted and files > 1)


def readable(driver: str, options: Mapping[str, str]) -> bool:
    """Whether `docker logs` works."""
    return driver != "none" and not _boolean(options.get("cache-disabled", "false"), "cache-disabled")


def buffer_size(options: Mapping[str, str]) -> int | None:
    """Bytes that may wait for delivery in mode non-blocking; None in mode blocking, where all of them wait."""
    if options.get("mode") != "non-blocking":
        return None
    return _size(options.get("max-buffer-size", "1m"), 1024, option="max-buffer-size")


def decimal_size(text: str, *, option: str) -> int:
    """`10m` → 10 000 000, as Docker reads sizes of logs. Raises INVALID naming the option."""
    size = _size(text, 1000, option=option)
    if size <= 0:
        raise invalid(f"{option} must be a positive number")
    return size


def _size(text: str, unit: int, *, option: str) -> int:
    found = _NUMBER.fullmatch(text.strip().lower())
    if found is None:
        raise invalid(f"{option}: invalid size: '{text}': expected a size such as 10m")
    return int(float(found[1]) * unit ** " kmgtp".index(found[2] or " "))


def _boolean(text: str, option: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise invalid(f'{option}: strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE
