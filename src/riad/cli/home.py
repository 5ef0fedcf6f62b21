"""Where one Riad lives on this machine, read from the environment.

RIAD_HOME   what must be kept (default /var/lib/riad)
RIAD_RUN    sockets and process state (default /run/riad, or HOME/run for another home)
RIAD_PORT   the one port of the edge (default 8080)
RIAD_DOMAIN services answer on NAME.RIAD_DOMAIN (default localhost)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.kernel.faults import invalid

DEFAULT_HOME = Path("/var/lib/riad")
LONGEST_SOCKET_PATH = 107  # sun_path in <sys/un.h> holds 108 bytes with its end


@dataclass(frozen=True, slots=True)
class Home:
    root: Path
    run: Path
    port: int
    domain: str

    @property
    def external_url(self) -> str:
        return f"http://{self.domain}:{self.port}"

    @property
    def engine_socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def server_socket(self) -> Path:
        return self.run / "server.sock"

    @property
    def edge_socket(self) -> Path:
        return self.run / "edge.sock"

    @property
    def engine_run(self) -> Path:
        return self.run / "engine"

    @property
    def run_files(self) -> tuple[Path, ...]:
        """All that Riad makes in the run folder."""
        sockets = (self.engine_socket, self.server_socket, self.edge_socket)
        return (*sockets, self.supervision, self.engine_run, self.run / "checkouts", self.run / "sockets")

    @property
    def engine_root(self) -> Path:
        return self.root / "engine"

    @property
    def server_data(self) -> Path:
        return self.root / "server"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def supervision(self) -> Path:
        """What the supervisor says about itself: JSON, see `riad.cli.supervisor.Supervision`."""
        return self.run / "supervisor.json"

    @property
    def command_token(self) -> Path:
        """The access token that the server made for this machine's `riad` command."""
        return self.server_data / "command.token"

    @property
    def initial_password(self) -> Path:
        """The administrator's one-time password; the server removes the file once it has been changed."""
        return self.server_data / "initial_root_password"


def of(environ: Mapping[str, str] = os.environ) -> Home:
    """Raises INVALID where a variable is of the wrong shape."""
    root = Path(environ.get("RIAD_HOME") or DEFAULT_HOME).absolute()
    default_run = Path("/run/riad") if root == DEFAULT_HOME else root / "run"
    run = Path(environ.get("RIAD_RUN") or default_run).absolute()
    longest = len(os.fsencode(run / "sockets" / "job-0000000000.sock"))
    if longest > LONGEST_SOCKET_PATH:
        raise invalid(
            f"RIAD_RUN: {run} is {longest - LONGEST_SOCKET_PATH} characters too long for unix sockets; "
            "set RIAD_RUN to a shorter folder"
        )
    return Home(root=root, run=run, port=_port(environ.get("RIAD_PORT") or "8080"), domain=_domain(environ))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise invalid(f"RIAD_PORT: {text!r} is not a port (a number from 1 to 65535)")
    return int(text)


def _domain(environ: Mapping[str, str]) -> str:
    domain = (environ.get("RIAD_DOMAIN") or "localhost").lower()
    labels = domain.split(".")
    if not all(label and label.replace("-", "").isalnum() and label.isascii() for label in labels):
        raise invalid(f"RIAD_DOMAIN: {domain!r} is not a host name")
    return domain
