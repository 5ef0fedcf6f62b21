"""What a client asks of a build, in the builder's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit, Resources
from riad.oci.reference import Reference

PARTY = "riad.project"
"""The label by which a client that builds for several parties says whose build this is."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`build_args`: None stands for a name given without a value. `network`: default, host, none or a network's name.

    `warnings` are told before the first step: what was asked for and has no effect here.
    `no_cache_stages` are the names of stages whose steps are done anew. `allow` are entitlements given:
    `security.insecure`, `network.host`.
    """

    dockerfile: str = "Dockerfile"
    tags: tuple[Reference, ...] = ()
    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    pull: bool = False
    platform: str = ""
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    limits: tuple[Limit, ...] = ()
    shm_size: int = DEFAULT_SHM_SIZE
    warnings: tuple[str, ...] = ()
    no_cache_stages: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()

    @property
    def party(self) -> str:
        """Parties share no results of RUN and no cache mounts: none must have to trust what another has made."""
        return self.labels.get(PARTY, "")
