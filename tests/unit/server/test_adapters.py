"""What deploy may use of the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from forges import CLOCK, Forge
from riad.forge.repositories import Repositories
from riad.identity.model import Visibility
from riad.kernel.blobs import FolderBlobs
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind
from riad.registry import manifests, repositories
from riad.registry.names import RepositoryName
from riad.server.adapters import RegistryImages, RegistryProjects

INDEX = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'


@pytest.mark.parametrize(
    ("visibility", "own", "allowed"),
    [
        (Visibility.PRIVATE, True, True),
        (Visibility.PRIVATE, False, False),
        (Visibility.INTERNAL, False, False),
        (Visibility.PUBLIC, False, True),
    ],
)
def test_a_project_releases_its_own_images_and_public_ones(
    tmp_path: Path, database: Database, visibility: Visibility, own: bool, allowed: bool
) -> None:
    forge = Forge(database, Repositories(tmp_path / "repositories"), tmp_path)
    owner = forge.user("ada")
    kept, other = forge.project(owner, "kept", visibility=visibility), forge.project(owner, "other")
    with database.write() as session:
        row = repositories.ensure(session, RepositoryName.parse("demo/kept"), projects=RegistryProjects(), clock=CLOCK)
        put = manifests.put(
            session, row, "1", INDEX, content_type="", store=FolderBlobs(tmp_path / "blobs"), clock=CLOCK
        )
    images = RegistryImages(database, CLOCK, "localhost:8080", b"k" * 32)
    asking = kept.id if own else other.id
    if allowed:
        assert images.resolve("localhost:8080/demo/kept:1", project_id=asking) == put.digest
        return
    with pytest.raises(Fault, match="that this project may use") as refused:
        images.resolve("localhost:8080/demo/kept:1", project_id=asking)
    assert refused.value.kind is Kind.NOT_FOUND
