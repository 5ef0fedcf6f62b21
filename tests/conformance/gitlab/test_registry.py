"""The container registry through python-gitlab."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import gitlab
import pytest
import requests
from fastapi import FastAPI

from fakes.registry_house import digest, image
from riad.forge.repositories import Repositories
from riad.identity import root
from riad.kernel.blobs import FolderBlobs
from riad.kernel.db import Database
from riad.oci import media
from riad.protocols import gitlab as api
from riad.protocols.gitlab import registry
from riad.registry import blobs, manifests, repositories
from riad.registry.names import RepositoryName
from riad.registry.store import TagRow
from riad.server.adapters import RegistryProjects
from serving import Serve

from .conftest import CLOCK, TOKEN, House


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path, serve: Serve) -> House:
    forge = Repositories(tmp_path / "repositories")
    with sqlite_database.write() as session:
        root.ensure(session, password="roots-password", token=TOKEN, clock=CLOCK)
    app = FastAPI()
    kept = FolderBlobs(tmp_path / "blobs")
    app.include_router(registry.router(registry.Services(sqlite_database, CLOCK, kept, "riad.test:8080")))
    app.include_router(api.router(api.Services(sqlite_database, CLOCK, forge, external_url="http://riad.test")))
    app.include_router(api.fallback())
    house = House(serve(app), sqlite_database)
    house.client().projects.create({"name": "App"})
    push(sqlite_database, kept, "root/app", "latest", "v1", "v2", "dev-1", "dev-2", "dev-3")
    push(sqlite_database, kept, "root/app/worker", "latest")
    return house


def push(database: Database, kept: FolderBlobs, name: str, *tags: str) -> None:
    """The later a tag, the newer."""
    with database.write() as session:
        row = repositories.ensure(session, RepositoryName.parse(name), projects=RegistryProjects(), clock=CLOCK)
        for age, tag in enumerate(tags):
            config = f'{{"tag": "{tag}"}}'.encode()
            blobs.keep(session, kept, digest(config), len(config), config, clock=CLOCK)
            blobs.link(session, row, digest(config), clock=CLOCK)
            manifests.put(session, row, tag, image(config), content_type=media.OCI_MANIFEST, store=kept, clock=CLOCK)
            found = session.get(TagRow, (row.id, tag))
            assert found is not None
            found.updated_at = CLOCK.now() - timedelta(days=len(tags) - age)


def test_repositories_and_tags_are_listed_shown_and_deleted(house: House) -> None:
    project = house.client().projects.get("root/app")
    found = {each.path: each for each in project.repositories.list(get_all=True, tags_count=True)}
    assert {path: each.tags_count for path, each in found.items()} == {"root/app": 6, "root/app/worker": 1}
    assert (found["root/app/worker"].name, found["root/app"].location) == ("worker", "riad.test:8080/root/app")
    tags = found["root/app"].tags.list(get_all=True)
    assert [tag.name for tag in tags] == ["dev-1", "dev-2", "dev-3", "latest", "v1", "v2"]
    shown = found["root/app"].tags.get("v1")
    assert shown.location == "riad.test:8080/root/app:v1"
    assert shown.revision.startswith(shown.short_revision)
    assert shown.total_size > 0
    found["root/app"].tags.delete("v1")
    with pytest.raises(gitlab.GitlabGetError):
        found["root/app"].tags.get("v1")
    found["root/app/worker"].delete()
    assert [each.path for each in project.repositories.list(get_all=True)] == ["root/app"]
    by_id = house.client().registry_repositories.get(found["root/app"].id, tags=True, size=True)
    assert (len(by_id.tags), by_id.size > 0) == (5, True)


def test_tags_are_deleted_in_bulk_by_rules(house: House) -> None:
    project = house.client().projects.get("root/app")
    repository = next(each for each in project.repositories.list(get_all=True) if each.path == "root/app")
    repository.tags.delete_in_bulk(name_regex_delete="dev-.*", keep_n=1)
    assert [tag.name for tag in repository.tags.list(get_all=True)] == ["dev-3", "latest", "v1", "v2"]
    repository.tags.delete_in_bulk(name_regex_delete=".*", name_regex_keep="v.*", older_than="1h")
    assert [tag.name for tag in repository.tags.list(get_all=True)] == ["latest", "v1", "v2"]
    with pytest.raises(gitlab.GitlabDeleteError, match="name_regex_delete"):
        repository.tags.delete_in_bulk(name_regex_delete="")


def test_a_projects_clean_up_is_set_as_gitlabs(house: House) -> None:
    project = house.client().projects.get("root/app")
    assert project.container_expiration_policy["enabled"] is False
    project.container_expiration_policy_attributes = {"enabled": True, "keep_n": 5, "older_than": "14d"}
    project.save()
    found = house.client().projects.get("root/app").container_expiration_policy
    assert (found["enabled"], found["keep_n"], found["older_than"]) == (True, 5, "14d")


def test_quota_and_protected_tags_are_riads_own(house: House) -> None:
    address = f"{house.address}/api/riad/v1/projects/root%2Fapp/registry"
    headers = {"PRIVATE-TOKEN": TOKEN}
    changed = requests.put(address, json={"quota": 10, "protected_tags": ["v*"]}, headers=headers, timeout=10).json()
    assert (changed["quota"], changed["protected_tags"], changed["used"] > 10) == (10, ["v*"], True)
    replica = {"target": "https://else.where/copies", "username": "u", "password": "p", "tags": "v.*"}
    made = requests.post(f"{address}/replicas", json=replica, headers=headers, timeout=10).json()
    assert "password" not in made
    listed = requests.get(f"{address}/replicas", headers=headers, timeout=10).json()
    assert [each["target"] for each in listed] == ["https://else.where/copies"]
    assert requests.delete(f"{address}/replicas/{made['id']}", headers=headers, timeout=10).status_code == 204


def test_strangers_see_nothing(house: House) -> None:
    other = house.user("sam")
    with pytest.raises(gitlab.GitlabGetError):
        other.projects.get("root/app")
    with pytest.raises(gitlab.GitlabGetError):
        other.registry_repositories.get(1)
