"""Which base images can be made, of which packages, under which names. Pure.

The names follow the well-known images: `python:3.11`, `python:3.11-slim`, `python:3`, `debian:12`, `node:18-bookworm`.
What a version is made of is the distribution release that has it: Python 3.11 is bookworm's, whatever the host runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from riad.kernel.faults import Fault, Kind
from riad.oci.reference import DOCKER_HUB, Reference

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a distribution, with the versions of languages it has."""

    distribution: str
    codename: str
    version: str
    python: str
    node: str
    docker: str
    postgres: str
    redis: str
    nginx: str

    def __repr__(self) -> str:
        # Part of the keys of what is kept: it names a release and need not say what else that has.
        languages = f"python={self.python!r}, node={self.node!r}, docker={self.docker!r}"
        release = f"distribution={self.distribution!r}, codename={self.codename!r}, version={self.version!r}"
        return f"Release({release}, {languages})"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.codename})"


# The newest first. `docker` is the package that has the client.
RELEASES = (
    Release("debian", "trixie", "13", "3.13", "20", "docker-cli", "17", "8", "1.26"),
    Release("debian", "bookworm", "12", "3.11", "18", "docker.io", "15", "7", "1.22"),
    Release("debian", "bullseye", "11", "3.9", "12", "docker.io", "13", "6", "1.18"),
    Release("ubuntu", "noble", "24.04", "3.12", "18", "docker.io", "16", "7", "1.24"),
    Release("ubuntu", "jammy", "22.04", "3.10", "12", "docker.io", "14", "6", "1.18"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """What makes a base image a service, as the well-known image of its name has it. `step` is one of `services.sh`."""

    step: str
    ports: tuple[str, ...]
    entrypoint: tuple[str, ...] = ("docker-entrypoint.sh",)
    volumes: tuple[str, ...] = ()
    workdir: str = ""
    stop_signal: str = ""

    def changes(self) -> list[str]:
        """Dockerfile lines."""
        return [
            *([f"ENTRYPOINT [{_words(self.entrypoint)}]"] if self.entrypoint else []),
            *(f"EXPOSE {port}" for port in self.ports),
            *(f"VOLUME {volume}" for volume in self.volumes),
            *([f"WORKDIR {self.workdir}"] if self.workdir else []),
            *([f"STOPSIGNAL {self.stop_signal}"] if self.stop_signal else []),
        ]


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`family` is the image's name, `tag` its plain tag. `steps` name functions of `finish.sh`, run in order."""

    family: str
    tag: str
    release: Release
    packages: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ("bash",)
    service: Service | None = None

    @property
    def name(self) -> str:
        return f"{self.family}:{self.tag}"

    def changes(self, *, key: str, extra_authorities: bool) -> list[str]:
        """The image's configuration as Dockerfile lines; `key` lets a repeated delivery see that nothing changed."""
        env = (("PATH", _PATH), *self.env)
        if extra_authorities:
            env += tuple((name, _CA_FILE) for name in _CA_VARIABLES)
        service = self.service.changes() if self.service is not None else []
        lines = [f'ENV {name}="{value}"' for name, value in env]
        return [*lines, *service, f"CMD [{_words(self.command)}]", f"LABEL riad.base={key}"]

    def text(self) -> str:
        """All that it says, for the key of what is made of it."""
        plain = replace(self, service=None)
        return repr(plain).replace(", service=None)", ")") + (repr(self.service) if self.service is not None else "")


def offered(distribution: str, codename: str) -> list[Recipe]:
    """What can be made on a host of this release, by its mirror: the host's own release first."""
    releases = sorted(
        (release for release in RELEASES if release.distribution == distribution),
        key=lambda release: release.codename != codename,
    )
    return [recipe for release in releases for recipe in _of(release)]


def find(reference: Reference, distribution: str, codename: str) -> Recipe:
    """The recipe for a name. Raises NOT_FOUND that lists what can be made."""
    made = offered(distribution, codename)
    if reference.domain == DOCKER_HUB and reference.digest is None:
        family, tag = reference.familiar_repository, reference.tag or "latest"
        for recipe in made:
            if recipe.family == family and tag in set(tags(recipe, newest=_is_first(recipe, made))):
                return recipe
    names = ", ".join(recipe.name for recipe in made) or "nothing"
    raise Fault(
        Kind.NOT_FOUND,
        f"{reference.familiar} cannot be made from this host's package mirror ({distribution} {codename}); "
        f"what can: {names}",
    )


def suggestion(reference: Reference) -> str | None:
    """The way out where no registry has `reference`: a sentence, or None for names no recipe makes."""
    from riad.base.host import distribution

    try:
        find(reference, *distribution())
    except Fault:
        return None
    return f"`riad base build {reference.familiar}` makes it from this host's package mirror"


def tags(recipe: Recipe, *, newest: bool) -> Iterator[str]:
    """All tags that mean `recipe`; `newest`: it also stands for the family as a whole."""
    release = recipe.release
    if recipe.family == "docker":
        yield from ("cli", "latest") if newest else ()
        return
    versions = [recipe.tag]
    if recipe.family in ("debian", "ubuntu"):
        versions = [release.codename, release.version]
    elif newest and "." in recipe.tag:
        versions.append(recipe.tag.partition(".")[0])
    plain = [*versions, *(("latest",) if newest else ())]
    for version in plain:
        yield version
        if version != "latest":
            yield f"{version}-slim"
    if recipe.family not in ("debian", "ubuntu"):
        for version in versions:
            yield f"{version}-{release.codename}"
            yield f"{version}-slim-{release.codename}"
            yield f"{version}-{release.codename}-slim"
        yield from ("slim", release.codename, f"slim-{release.codename}") if newest else ()


def _is_first(recipe: Recipe, made: list[Recipe]) -> bool:
    return next(other for other in made if other.family == recipe.family) == recipe


def _of(release: Release) -> list[Recipe]:
    language = (("LANG", "C.UTF-8"),)
    client = ("curl", "git", *((release.docker,) if release.docker == "docker-cli" else ()))
    return [
        Recipe(release.distribution, release.codename, release),
        Recipe(
            "python",
            release.python,
            release,
            packages=("python3", "python3-pip", "python3-venv", "python-is-python3", "ca-certificates"),
            steps=("free_pip",),
            env=language,
            command=("python3",),
        ),
        Recipe(
            "node",
            release.node,
            release,
            packages=("nodejs", "npm", "ca-certificates"),
            env=language,
            command=("node",),
        ),
        Recipe(
            "docker",
            "cli",
            release,
            packages=("ca-certificates", *client),
            steps=() if release.docker == "docker-cli" else ("docker_client",),
            env=language,
            command=("sh",),
        ),
        *_services(release),
    ]


def _services(release: Release) -> list[Recipe]:
    data = "/var/lib/postgresql/data"
    path = f"/usr/lib/postgresql/{release.postgres}/bin:{_PATH}"
    return [
        Recipe(
            "postgres",
            release.postgres,
            release,
            packages=(f"postgresql-{release.postgres}", "ca-certificates"),
            env=(
                ("PATH", path),
                ("LANG", "C.UTF-8"),
                ("PGDATA", data),
                ("PG_MAJOR", release.postgres),
            ),
            command=("postgres",),
            service=Service("postgres", ("5432/tcp",), volumes=(data,), stop_signal="SIGINT"),
        ),
        Recipe(
            "redis",
            release.redis,
            release,
            packages=("redis-server",),
            command=("redis-server",),
            service=Service("redis", ("6379/tcp",), volumes=("/data",), workdir="/data"),
        ),
        Recipe(
            "nginx",
            release.nginx,
            release,
            packages=("nginx-light", "ca-certificates"),
            command=("nginx", "-g", "daemon off;"),
            service=Service("nginx", ("80/tcp",), entrypoint=(), stop_signal="SIGQUIT"),
        ),
    ]
