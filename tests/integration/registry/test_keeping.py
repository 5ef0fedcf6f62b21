"""Quotas, protected tags, clean-up rules: what a project may keep."""

from __future__ import annotations

from datetime import timedelta

from fakes.asgi import TestClient
from fakes.registry_house import PASSWORD, House
from riad.identity import members
from riad.identity.model import Access
from riad.registry import policy, quota
from riad.registry.policy import Policy, Rules

from .test_distribution import APP, LAYER, code, digest, push, push_blob


def allow(house: House, found: Policy) -> None:
    with house.database.write() as session:
        policy.set_policy(session, house.projects.known[APP].id, found, clock=house.clock)


def test_a_push_beyond_the_quota_is_refused_before_its_bytes_are_sent(house: House, registry: TestClient) -> None:
    push(registry, "v1")
    with house.database.read() as session:
        used = quota.usage(session, house.projects.known[APP].id)
    allow(house, Policy(quota=used + 100))
    refused = registry.post(f"/v2/{APP}/blobs/uploads/?digest={digest(b'x' * 200)}", content=b"x" * 200)
    assert (refused.status_code, code(refused)) == (403, "DENIED")
    assert "quota exceeded" in refused.json()["errors"][0]["message"]
    push_blob(registry, b"y" * 50)
    push(registry, "v2")  # what is there already needs no more room


def test_a_mount_counts_where_it_brings_something_new(house: House, registry: TestClient) -> None:
    registry.auth = ("root", PASSWORD)
    push_blob(registry, LAYER, "demo/open")
    allow(house, Policy(quota=10))
    refused = registry.post(f"/v2/{APP}/blobs/uploads/?mount={digest(LAYER)}&from=demo/open")
    assert (refused.status_code, code(refused)) == (403, "DENIED")


def test_a_protected_tag_is_moved_by_maintainers_only(house: House, registry: TestClient) -> None:
    push(registry, "v1")
    allow(house, Policy(protected=("v*",)))
    moved = registry.put(
        f"/v2/{APP}/manifests/v1", content=b"{}", headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    )
    assert (moved.status_code, code(moved)) == (403, "DENIED")
    assert registry.delete(f"/v2/{APP}/manifests/v1").status_code == 403
    push(registry, "v2")  # a new one is anybody's who may push
    with house.database.write() as session:
        project = house.projects.known[APP]
        members.set(
            session,
            source="project",
            source_id=project.id,
            user_id=house.dana,
            access=Access.MAINTAINER,
            clock=house.clock,
        )
    assert registry.delete(f"/v2/{APP}/manifests/v1").status_code == 202


def test_a_clean_up_that_is_due_takes_tags_away_and_waits_for_its_next_turn(house: House, registry: TestClient) -> None:
    for tag in ("a", "b", "c"):
        push(registry, tag)
        house.clock.advance(timedelta(hours=1))
    allow(house, Policy(enabled=True, cadence="7d", rules=Rules(keep_n=1)))
    with house.database.write() as session:
        assert policy.clean_due(session, clock=house.clock) == 2
    assert registry.get(f"/v2/{APP}/tags/list").json()["tags"] == ["c"]
    push(registry, "d")
    with house.database.write() as session:
        assert policy.clean_due(session, clock=house.clock) == 0
    house.clock.advance(timedelta(days=8))
    with house.database.write() as session:
        assert policy.clean_due(session, clock=house.clock) == 1
