"""One project's part of an engine: which labels mark it, which image names belong to it. Pure.

A container, network or volume is the project's where it carries `riad.scoped` with the project's path; only this
socket puts that label on, and a client that names any label of Riad's is refused. The containers that Riad itself runs
for the project (a job's own, a released service) carry `riad.project` alone: they hold secrets of other people's jobs
and serve its users, so a job neither sees nor touches them.

An image is the project's where one of its names is below `<registry>/<project>`, or, without any name at all, where its
label says so. Images with names of other registries only belong to no project (base images) and can be read by all.
What belongs to another project does not exist; neither do images without name and label: they are what other
people's builds left on their way.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from riad.dockerclient.scoped.quota import Quota
from riad.kernel.faults import Fault, denied, invalid
from riad.oci.reference import Reference, parse_reference

PROJECT = "riad.project"
SCOPED = "riad.scoped"
JOB = "riad.scoped.job"
_RESERVED = "riad."


class Owner(enum.Enum):
    OWN = "own"
    NOBODY = "nobody"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Scope:
    """`registry` is HOST:PORT as image names have it, `project` GROUP/NAME. `job_id` is None for a socket that is no
    job's."""

    registry: str
    project: str
    job_id: int | None = None
    quota: Quota = field(default_factory=Quota)

    @property
    def repository(self) -> str:
        """Image names of the project are this or below it."""
        return f"{self.registry}/{self.project.lower()}"

    @property
    def labels(self) -> dict[str, str]:
        own = {PROJECT: self.project, SCOPED: self.project}
        return own if self.job_id is None else {**own, JOB: str(self.job_id)}

    def owns(self, labels: Mapping[str, str] | None) -> bool:
        """For containers, networks and volumes."""
        return (labels or {}).get(SCOPED) == self.project

    def owner_of_name(self, reference: str) -> Owner:
        """Raises INVALID for what is no image reference."""
        return self._owner(parse_reference(reference))

    def owner_of_image(self, inspected: Mapping[str, Any]) -> Owner:
        """From an image's inspection or its entry in a list."""
        owners = {self._owner(parse_reference(name)) for name in names_of(inspected)}
        if Owner.OWN in owners:
            return Owner.OWN
        if Owner.OTHER in owners:
            return Owner.OTHER
        if owners:
            return Owner.NOBODY  # a base image, whatever its labels claim
        labels = inspected.get("Labels") or (inspected.get("Config") or {}).get("Labels") or {}
        return Owner.OWN if labels.get(PROJECT) == self.project else Owner.OTHER

    def own_name(self, reference: str) -> Reference:
        """A name that the project may give to an image. Raises DENIED with the names it may give, INVALID."""
        parsed = parse_reference(reference)
        if self._owner(parsed) is not Owner.OWN:
            raise denied(
                f'riad: a job of {self.project} cannot name an image "{reference}": name it {self.repository} or '
                f"{self.repository}/NAME"
            )
        return parsed

    def readable_name(self, reference: str) -> Reference:
        """A name that may be pulled, run or built upon. Raises DENIED for another project's, INVALID."""
        parsed = parse_reference(reference)
        if self._owner(parsed) is Owner.OTHER:
            raise denied(
                f'riad: "{reference}" belongs to another project; a job of {self.project} can use images below '
                f"{self.repository} and images of other registries"
            )
        return parsed

    def visible_names(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if _placeholder(name) or self._owner(parse_reference(name)) is not Owner.OTHER]

    def _owner(self, reference: Reference) -> Owner:
        if reference.domain.lower() != self.registry.lower():
            return Owner.NOBODY
        own = self.project.lower()
        return Owner.OWN if reference.path == own or reference.path.startswith(f"{own}/") else Owner.OTHER


def names_of(inspected: Mapping[str, Any]) -> list[str]:
    """Every tag and digest name of an image."""
    names = [*(inspected.get("RepoTags") or []), *(inspected.get("RepoDigests") or [])]
    return [name for name in names if not _placeholder(name)]


def check_labels(labels: object) -> dict[str, str]:
    """Labels that a client gives. Raises DENIED for Riad's own, INVALID for what are no labels."""
    if labels is None:
        return {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise invalid("riad: labels are not a mapping of texts")
    for name in labels:
        if str(name).lower().startswith(_RESERVED):
            raise denied(f'riad: the label "{name}" is Riad\'s own; choose a name without "{_RESERVED}" before it')
    return labels


def check_name(name: str, what: str) -> str:
    """Names of containers, networks and volumes share one space with Riad's own. Raises DENIED."""
    if name.lower().lstrip("/").startswith("riad-"):
        raise denied(f'riad: the {what} name "{name}" is kept for Riad\'s own; choose one without "riad-" before it')
    return name


def is_reference(text: str) -> bool:
    try:
        parse_reference(text)
    except Fault:
        return False
    return True


def _placeholder(name: str) -> bool:
    return name.startswith("<none>")
