"""The server's configuration: defaults < file < environment (RIAD_…) < flags. See docs/server.example.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from riad.kernel.faults import Finding, invalid


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything the server can be told. Paths that are not given lie below `data_dir`."""

    data_dir: Path = Path("/var/lib/riad/server")
    run_dir: Path | None = None
    listen: str = "127.0.0.1:8080"
    external_url: str | None = None
    domain: str | None = None
    database_url: str | None = None
    docker_host: str | None = None
    edge_socket: Path | None = None
    jobs: int = 2
    registry_cache: tuple[str, ...] = ()
    registry_cache_public: bool = False
    advisories: Path | None = None
    root_token: str | None = None
    root_password: str | None = None
    log_level: str = "info"
    log_json: bool = False

    @property
    def url(self) -> str:
        """The address users know, without a slash at its end."""
        if self.external_url:
            return self.external_url.rstrip("/")
        return "http://localhost" if self.socket else f"http://{self.listen}"

    @property
    def host(self) -> str:
        """HOST:PORT of the address users know; also the registry's name in image references."""
        return urlsplit(self.url).netloc

    @property
    def service_domain(self) -> str:
        """Services answer on NAME.DOMAIN."""
        return self.domain or urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def socket(self) -> Path | None:
        """The unix socket to listen on, where it is one."""
        return Path(self.listen.removeprefix("unix:")) if self.listen.startswith("unix:") else None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises ValueError where `listen` names a unix socket."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def run(self) -> Path:
        return self.run_dir or self.data_dir / "run"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'riad.db'}"

    @property
    def repositories(self) -> Path:
        return self.data_dir / "repositories"

    @property
    def blobs(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def traces(self) -> Path:
        return self.data_dir / "traces"

    @property
    def edge(self) -> Path:
        """The folder of the edge's configuration and maps."""
        return self.data_dir / "edge"


def check(config: ServerConfig) -> ServerConfig:
    """Returns `config`. Raises INVALID with every finding."""
    findings = []
    if config.socket is None and not _is_address(config.listen):
        findings.append(Finding("listen", f"{config.listen!r} is not HOST:PORT or unix:PATH"))
    if config.external_url and urlsplit(config.external_url).scheme not in ("http", "https"):
        findings.append(Finding("external_url", f"{config.external_url!r} is not an http:// or https:// address"))
    if config.jobs < 1:
        findings.append(Finding("jobs", f"{config.jobs} is not at least 1"))
    if config.root_token is not None and len(config.root_token) < 8:
        findings.append(Finding("root_token", "needs at least 8 characters"))
    if config.root_password is not None and len(config.root_password) < 8:
        findings.append(Finding("root_password", "needs at least 8 characters"))
    if config.log_level not in ("debug", "info", "warning", "error"):
        findings.append(Finding("log_level", f"{config.log_level!r} is not debug, info, warning or error"))
    if findings:
        raise invalid("; ".join(map(str, findings)), *findings)
    return config


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and int(port) <= 65535
