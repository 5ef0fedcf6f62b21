"""Handing a made base image to an engine, whichever speaks the Docker Engine API."""

from __future__ import annotations

from riad.base.build import Ingredients, Kept
from riad.dockerclient.client import DockerClient
from riad.kernel.faults import Fault, Kind
from riad.oci.reference import Reference

_LABEL = "riad.base"


async def deliver(docker: DockerClient, reference: Reference, made: Kept, wanted: Ingredients, *, anew: bool) -> str:
    """Imports the image under the name `reference` unless the engine has exactly it; returns its id."""
    present = await _present(docker, reference)
    if present is not None and not anew and present[1] == made.key:
        return present[0]
    name = reference.with_default_tag()
    with made.tar.open("rb") as tar:
        return await docker.images.import_(tar, name.familiar_repository, name.tag or "latest", wanted.changes())


async def _present(docker: DockerClient, reference: Reference) -> tuple[str, str] | None:
    """(id, key of what it was made of) of the image that the engine has under the name."""
    try:
        found = await docker.images.inspect(reference.with_default_tag().familiar)
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
        return None
    return str(found["Id"]), str((found["Config"].get("Labels") or {}).get(_LABEL, ""))
