"""Runs nft commands inside this process through libnftables (0.1 ms), or through the `nft` program where it is absent.

libnftables(3). One context, made in the host's network namespace, used by one thread at a time.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import shutil
import subprocess
import threading

from riad.kernel.faults import Fault, Kind, unavailable

_AS_JSON = 1 << 4


class NftRefused(Fault):
    """The kernel or the parser refused a command; nothing of it was done."""

    def __init__(self, said: str) -> None:
        super().__init__(Kind.INTERNAL, f"nft refused a command: {_brief(said)}")


class Nftables:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library = _load()
        self._context = self._open() if self._library is not None else None
        if self._library is None and shutil.which("nft") is None:
            raise unavailable("nftables is missing: install the package nftables")

    def run(self, commands: str) -> str:
        """Runs `commands` as one transaction and returns what they print. Blocks; raises NftRefused."""
        with self._lock:
            if self._library is None or self._context is None:
                return _run_program(commands)
            code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            said = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode(errors="replace")
            printed = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")
        if code != 0:
            raise NftRefused(said)
        return printed

    def listing(self) -> str:
        """The host's whole ruleset as JSON (libnftables-json(5)). Blocks; raises NftRefused."""
        with self._lock:
            if self._library is None or self._context is None:
                return _run_program("list ruleset", "-j")
            self._library.nft_ctx_output_set_flags(self._context, _AS_JSON)
            try:
                code = self._library.nft_run_cmd_from_buffer(self._context, b"list ruleset")
                said = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode(errors="replace")
                printed = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")
            finally:
                self._library.nft_ctx_output_set_flags(self._context, 0)
        if code != 0:
            raise NftRefused(said)
        return printed

    def close(self) -> None:
        with self._lock:
            if self._library is not None and self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._library = self._context = None

    def _open(self) -> int:
        library = self._library
        if library is None:
            raise unavailable("libnftables is not loaded")
        context: int | None = library.nft_ctx_new(0)
        if not context:
            raise unavailable("libnftables could not be started; is this process allowed to change the firewall?")
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        return context


def _load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
    for name in (
        "nft_ctx_buffer_output",
        "nft_ctx_buffer_error",
        "nft_ctx_get_output_buffer",
        "nft_ctx_get_error_buffer",
        "nft_ctx_free",
    ):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def _run_program(commands: str, *flags: str) -> str:
    done = subprocess.run(
        ["nft", *flags, "-f", "-"], input=commands.encode(), capture_output=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise NftRefused(done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def _brief(said: str) -> str:
    """nft repeats the whole command below its complaint; the first line says what is wrong."""
    return said.strip().splitlines()[0][:300] if said.strip() else "no reason given"
