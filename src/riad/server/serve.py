"""Starts the server's process: folders, schema, first administrator, unfinished work, then HTTP."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import uvicorn

from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import Fault, conflict, invalid, unavailable
from riad.server import schema
from riad.server.config import ServerConfig
from riad.server.wiring import Parts, build

log = logs.named("server")

_M_ARENA_MAX = -8  # malloc.h
BACKLOG = 2048
LAST_WORDS = 5.0
"""Seconds that what a killed server had started is waited for."""


def serve(config: ServerConfig) -> None:
    """Returns when SIGTERM or SIGINT came. Raises a fault that names what keeps it from starting."""
    # uvicorn ends gracefully on SIGTERM and then raises the signal once more, for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logs.configure(level=config.log_level, as_json=config.log_json)
    _share_memory_among_threads()
    lock = _lock(config)
    listener = _listen(config)
    # What requests and jobs put down for a moment: on the disk that has room for it, and gone with the next start.
    tempfile.tempdir = str(_emptied(config.data_dir / "temporary"))
    _emptied(config.run / "checkouts")
    try:
        parts = build(config, _database(config))
        parts.prepare()
        log.info("listening", extra=logs.fields(at=config.listen, url=config.url))
        _run(parts, listener)
    finally:
        listener.close()
        if config.socket is not None:
            config.socket.unlink(missing_ok=True)
        os.close(lock)


def _emptied(folder: Path) -> Path:
    """A git that a killed server had started may write there a moment longer."""
    until = time.monotonic() + LAST_WORDS
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _lock(config: ServerConfig) -> int:
    """Held while the process lives: two servers on one folder would run every job twice."""
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        handle = os.open(config.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise invalid(f"data_dir: {config.data_dir} cannot be written to: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise conflict(f"{config.data_dir} is in use by another server; stop it or choose another --data-dir") from None
    return handle


def _run(parts: Parts, listener: socket.socket) -> None:
    settings = uvicorn.Config(
        parts.application(),
        log_config=None,
        access_log=False,
        proxy_headers=True,
        # Whoever reaches the unix socket is the edge, or an administrator of this machine.
        forwarded_allow_ips="*" if listener.family == socket.AF_UNIX else "127.0.0.1",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        server_header=False,
        ws="none",
    )
    uvicorn.Server(settings).run(sockets=[listener])


def _share_memory_among_threads() -> None:
    """Has glibc's malloc keep two arenas instead of eight per core: buffers of uploads then take a third less."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has nothing of the kind
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _database(config: ServerConfig) -> Database:
    for folder in (config.data_dir, config.run, config.repositories, config.blobs, config.traces):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise invalid(f"data_dir: {folder} cannot be made: {error.strerror}") from None
    database = Database(config.database)
    try:
        schema.upgrade(database)
    except Fault:
        raise
    except Exception as error:
        raise unavailable(f"the database {_shown(config.database)} cannot be used: {error}") from error
    return database


def _shown(url: str) -> str:
    """`url` without a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.rpartition(':')[0]}:***@{tail}" if at and head.count(":") > 1 else url


def _listen(config: ServerConfig) -> socket.socket:
    """Bound and listening before anything else is done: whoever connects now waits instead of being refused."""
    if config.socket is not None:
        return _listen_on_path(config.socket)
    host, port = config.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise conflict(f"cannot listen on {config.listen}: {error.strerror}; choose another with --listen") from None
    listener.listen(BACKLOG)
    return listener


def _listen_on_path(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(os.fspath(path))
    except OSError:
        path.unlink(missing_ok=True)  # left by a process that was killed
    else:
        raise conflict(f"another server answers on {path}; stop it first")
    finally:
        probe.close()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    path.chmod(0o660)
    listener.listen(BACKLOG)
    return listener
