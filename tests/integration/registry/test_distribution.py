"""The OCI distribution specification 1.1 by its own categories: pull, push, content discovery, content management."""

from __future__ import annotations

import json

import pytest

from fakes.asgi import TestClient
from fakes.registry_house import PASSWORD, House, descriptor, digest, image
from riad.oci import media

CONFIG, LAYER = b'{"architecture": "amd64"}', b"a layer" * 500
APP, OPEN = "demo/app", "demo/open"


def push_blob(registry: TestClient, data: bytes, name: str = APP) -> None:
    assert registry.post(f"/v2/{name}/blobs/uploads/?digest={digest(data)}", content=data).status_code == 201


def push(registry: TestClient, tag: str, body: bytes | None = None, name: str = APP) -> bytes:
    for data in (CONFIG, LAYER):
        push_blob(registry, data, name)
    manifest = body or image(CONFIG, LAYER)
    put = registry.put(f"/v2/{name}/manifests/{tag}", content=manifest, headers={"Content-Type": media.OCI_MANIFEST})
    assert put.status_code == 201, put.text
    return manifest


def code(response) -> str:  # type: ignore[no-untyped-def]
    return str(response.json()["errors"][0]["code"])


# Pull


def test_pull_a_manifest_by_tag_and_by_digest_with_its_type_and_digest(registry: TestClient) -> None:
    manifest = push(registry, "v1")
    for reference in ("v1", digest(manifest)):
        for method in ("GET", "HEAD"):
            found = registry.request(method, f"/v2/{APP}/manifests/{reference}", headers={"Accept": media.OCI_MANIFEST})
            assert found.status_code == 200
            assert found.headers["Content-Type"] == media.OCI_MANIFEST
            assert found.headers["Docker-Content-Digest"] == digest(manifest)
            assert found.headers["Content-Length"] == str(len(manifest))
            assert found.content == (manifest if method == "GET" else b"")


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_pull_a_part_of_a_blob(registry: TestClient, asked: str, part: slice) -> None:
    push_blob(registry, LAYER)
    found = registry.get(f"/v2/{APP}/blobs/{digest(LAYER)}", headers={"Range": asked})
    assert (found.status_code, found.content) == (206, LAYER[part])
    beyond = registry.get(f"/v2/{APP}/blobs/{digest(LAYER)}", headers={"Range": f"bytes={len(LAYER)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"/v2/{APP}/manifests/none", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{APP}/manifests/sha256:{'0' * 64}", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{APP}/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        (f"/v2/{APP}/blobs/sha256:short", 400, "DIGEST_INVALID"),
        ("/v2/demo/app/never/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/UPPER/manifests/v1", 400, "NAME_INVALID"),
        (f"/v2/{APP}/blobs/uploads/no-such-upload", 404, "BLOB_UPLOAD_UNKNOWN"),
    ],
)
def test_pull_what_is_not_there(registry: TestClient, path: str, status: int, reason: str) -> None:
    push(registry, "v1")
    found = registry.get(path)
    assert (found.status_code, code(found)) == (status, reason)


# Push


def test_push_a_blob_post_then_put(registry: TestClient) -> None:
    place = registry.post(f"/v2/{APP}/blobs/uploads/").headers["Location"]
    done = registry.put(f"{place}?digest={digest(LAYER)}", content=LAYER)
    assert (done.status_code, done.headers["Location"]) == (201, f"/v2/{APP}/blobs/{digest(LAYER)}")


def test_push_a_blob_in_chunks_ask_how_far_it_is_and_give_up(registry: TestClient) -> None:
    begun = registry.post(f"/v2/{APP}/blobs/uploads/", headers={"Content-Length": "0"})
    place = begun.headers["Location"]
    first = registry.patch(place, content=LAYER[:50], headers={"Content-Range": "0-49", "Content-Length": "50"})
    assert (first.status_code, first.headers["Range"]) == (202, "0-49")
    asked = registry.get(first.headers["Location"])
    assert (asked.status_code, asked.headers["Range"]) == (204, "0-49")
    assert registry.patch(place, content=b"x", headers={"Content-Range": "90-90"}).status_code == 416
    assert registry.delete(place).status_code == 204
    assert code(registry.get(place)) == "BLOB_UPLOAD_UNKNOWN"


def test_push_by_mounting_from_a_neighbour_named_or_not(registry: TestClient) -> None:
    push_blob(registry, LAYER)
    named = registry.post(f"/v2/{APP}/copy/blobs/uploads/?mount={digest(LAYER)}&from={APP}")
    assert (named.status_code, named.headers["Location"]) == (201, f"/v2/{APP}/copy/blobs/{digest(LAYER)}")
    anywhere = registry.post(f"/v2/{APP}/other/blobs/uploads/?mount={digest(LAYER)}")
    assert anywhere.status_code == 201
    assert registry.get(f"/v2/{APP}/other/blobs/{digest(LAYER)}").content == LAYER
    unknown = registry.post(f"/v2/{APP}/other/blobs/uploads/?mount=sha256:{'0' * 64}")
    assert (unknown.status_code, "Location" in unknown.headers) == (202, True)


def test_nothing_is_mounted_that_the_pusher_may_not_read(house: House, registry: TestClient) -> None:
    registry.auth = ("root", PASSWORD)
    push_blob(registry, LAYER, OPEN)
    secret = b"of a project that dana does not see" * 10
    private = house.projects.add("secret/app", 999, house.projects.known[APP].visibility)
    assert private
    push_blob(registry, secret, "secret/app")
    registry.auth = ("dana", PASSWORD)
    assert registry.post(f"/v2/{APP}/blobs/uploads/?mount={digest(LAYER)}").status_code == 201
    assert registry.post(f"/v2/{APP}/blobs/uploads/?mount={digest(secret)}").status_code == 202
    assert registry.post(f"/v2/{APP}/blobs/uploads/?mount={digest(secret)}&from=secret/app").status_code == 202


def test_push_a_manifest_with_a_subject_that_may_come_later(registry: TestClient) -> None:
    subject = descriptor(b"not pushed yet", media.OCI_MANIFEST)
    push_blob(registry, CONFIG)
    push_blob(registry, LAYER)
    body = image(CONFIG, LAYER, subject=subject)
    put = registry.put(
        f"/v2/{APP}/manifests/{digest(body)}", content=body, headers={"Content-Type": media.OCI_MANIFEST}
    )
    assert (put.status_code, put.headers["OCI-Subject"]) == (201, subject["digest"])


def test_push_a_manifest_whose_blobs_are_missing_or_that_is_another_one(registry: TestClient) -> None:
    body, headers = image(b"never pushed"), {"Content-Type": media.OCI_MANIFEST}
    missing = registry.put(f"/v2/{APP}/manifests/v1", content=body, headers=headers)
    assert (missing.status_code, code(missing)) == (404, "MANIFEST_BLOB_UNKNOWN")
    push(registry, "v1")
    other = registry.put(f"/v2/{APP}/manifests/sha256:{'0' * 64}", content=image(CONFIG, LAYER), headers=headers)
    assert (other.status_code, code(other)) == (400, "DIGEST_INVALID")
    broken = registry.put(f"/v2/{APP}/manifests/v1", content=b"{", headers=headers)
    assert (broken.status_code, code(broken)) == (400, "MANIFEST_INVALID")


# Content discovery


def test_tags_come_in_pages_with_a_link_to_the_next(registry: TestClient) -> None:
    for tag in ("c", "a", "b", "B"):
        push(registry, tag)
    assert registry.get(f"/v2/{APP}/tags/list").json() == {"name": APP, "tags": ["B", "a", "b", "c"]}
    first = registry.get(f"/v2/{APP}/tags/list?n=2")
    assert first.json()["tags"] == ["B", "a"]
    following = first.headers["Link"].partition(">")[0].removeprefix("<")
    assert registry.get(following).json()["tags"] == ["b", "c"]
    assert registry.get(f"/v2/{APP}/tags/list?n=0").json()["tags"] == []
    assert registry.get(f"/v2/{APP}/tags/list?last=b").json()["tags"] == ["c"]


def test_referrers_are_listed_and_filtered_by_type(registry: TestClient) -> None:
    manifest = push(registry, "v1")
    subject = descriptor(manifest, media.OCI_MANIFEST)
    for kind in ("application/vnd.example.sbom", "application/vnd.example.signature"):
        body = json.loads(image(CONFIG, LAYER, subject=subject))
        body |= {"artifactType": kind, "annotations": {"kind": kind}}
        raw = json.dumps(body).encode()
        registry.put(f"/v2/{APP}/manifests/{digest(raw)}", content=raw, headers={"Content-Type": media.OCI_MANIFEST})
    found = registry.get(f"/v2/{APP}/referrers/{subject['digest']}")
    assert found.headers["Content-Type"] == media.OCI_INDEX
    assert {entry["artifactType"] for entry in found.json()["manifests"]} == {
        "application/vnd.example.sbom",
        "application/vnd.example.signature",
    }
    one = registry.get(f"/v2/{APP}/referrers/{subject['digest']}?artifactType=application/vnd.example.sbom")
    assert one.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["annotations"]["kind"] for entry in one.json()["manifests"]] == ["application/vnd.example.sbom"]
    none = registry.get(f"/v2/{APP}/referrers/sha256:{'0' * 64}")
    assert (none.status_code, none.json()["manifests"]) == (200, [])


# Content management


def test_tags_manifests_and_blobs_are_deleted(registry: TestClient) -> None:
    manifest = push(registry, "v1")
    push(registry, "v2")
    used = registry.delete(f"/v2/{APP}/blobs/{digest(LAYER)}")
    assert (used.status_code, code(used)) == (409, "DENIED")
    assert registry.delete(f"/v2/{APP}/manifests/v1").status_code == 202
    assert registry.get(f"/v2/{APP}/manifests/v1").status_code == 404
    assert registry.get(f"/v2/{APP}/manifests/v2").status_code == 200
    assert registry.delete(f"/v2/{APP}/manifests/{digest(manifest)}").status_code == 202
    assert registry.get(f"/v2/{APP}/manifests/v2").status_code == 404
    assert registry.delete(f"/v2/{APP}/blobs/{digest(LAYER)}").status_code == 202
    assert registry.get(f"/v2/{APP}/blobs/{digest(LAYER)}").status_code == 404
