import json

import pytest

from fakes.asgi import TestClient
from fakes.registry_house import descriptor, digest, image
from riad.oci import media

CONFIG = b'{"rootfs": {"type": "layers", "diff_ids": []}, "config": {"ExposedPorts": {"5000/tcp": {}}}}'
LAYER = b"layer"


def push_image(registry: TestClient, tag: str, name: str = "demo/app", layer: bytes = LAYER) -> str:
    for blob in (CONFIG, layer):
        registry.post(f"/v2/{name}/blobs/uploads/?digest={digest(blob)}", content=blob)
    response = put(registry, tag, image(CONFIG, layer), name=name)
    assert response.status_code == 201, response.text
    return str(response.headers["Docker-Content-Digest"])


def put(
    registry: TestClient, reference: str, body: bytes, media_type: str = media.OCI_MANIFEST, name: str = "demo/app"
):  # type: ignore[no-untyped-def]
    return registry.put(f"/v2/{name}/manifests/{reference}", content=body, headers={"Content-Type": media_type})


def test_an_image_is_read_back_byte_for_byte_by_tag_and_by_digest(registry: TestClient) -> None:
    pushed = push_image(registry, "v1")
    for reference in ("v1", pushed):
        read = registry.get(f"/v2/demo/app/manifests/{reference}")
        assert read.content == image(CONFIG, LAYER)
        assert read.headers["Content-Type"] == media.OCI_MANIFEST
        assert registry.head(f"/v2/demo/app/manifests/{reference}").headers["Docker-Content-Digest"] == pushed


def test_a_manifest_whose_blobs_are_not_here_is_refused(registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(CONFIG)}", content=CONFIG)
    response = put(registry, "v1", image(CONFIG, b"never sent"))
    assert response.json()["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    assert response.json()["errors"][0]["detail"] == {"digest": digest(b"never sent")}


def test_a_manifest_pushed_by_digest_must_have_it(registry: TestClient) -> None:
    push_image(registry, "v1")
    response = put(registry, digest(b"other"), image(CONFIG, LAYER))
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")


def test_a_tag_moves_and_the_old_image_stays_by_digest(registry: TestClient) -> None:
    first = push_image(registry, "latest")
    second = push_image(registry, "latest", layer=b"another layer")
    assert registry.head("/v2/demo/app/manifests/latest").headers["Docker-Content-Digest"] == second
    assert registry.get(f"/v2/demo/app/manifests/{first}").status_code == 200


def test_deleting_a_tag_keeps_the_image_and_deleting_the_image_takes_its_tags(registry: TestClient) -> None:
    pushed = push_image(registry, "v1")
    push_image(registry, "v2")
    assert registry.delete("/v2/demo/app/manifests/v1").status_code == 202
    assert registry.get(f"/v2/demo/app/manifests/{pushed}").status_code == 200
    assert registry.delete(f"/v2/demo/app/manifests/{pushed}").status_code == 202
    assert registry.get("/v2/demo/app/manifests/v2").json()["errors"][0]["code"] == "MANIFEST_UNKNOWN"


def test_a_blob_of_an_image_cannot_be_deleted_before_the_image(registry: TestClient) -> None:
    pushed = push_image(registry, "v1")
    assert registry.delete(f"/v2/demo/app/blobs/{digest(LAYER)}").status_code == 409
    registry.delete(f"/v2/demo/app/manifests/{pushed}")
    assert registry.delete(f"/v2/demo/app/blobs/{digest(LAYER)}").status_code == 202
    assert registry.head(f"/v2/demo/app/blobs/{digest(LAYER)}").status_code == 404


def test_an_index_needs_its_images_and_holds_them(registry: TestClient) -> None:
    entry = descriptor(image(CONFIG, LAYER), media.OCI_MANIFEST)
    body = json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry]}).encode()
    assert put(registry, "multi", body, media.OCI_INDEX).status_code == 404
    pushed = push_image(registry, "v1")
    assert put(registry, "multi", body, media.OCI_INDEX).status_code == 201
    assert registry.delete(f"/v2/demo/app/manifests/{pushed}").status_code == 409


def test_tags_are_listed_in_order_and_by_pages(registry: TestClient) -> None:
    for tag in ("b", "a", "c"):
        push_image(registry, tag)
    assert registry.get("/v2/demo/app/tags/list").json() == {"name": "demo/app", "tags": ["a", "b", "c"]}
    page = registry.get("/v2/demo/app/tags/list?n=2")
    assert page.json()["tags"] == ["a", "b"]
    assert page.headers["Link"] == '</v2/demo/app/tags/list?n=2&last=b>; rel="next"'
    assert registry.get("/v2/demo/app/tags/list?n=2&last=b").json()["tags"] == ["c"]
    assert registry.get("/v2/demo/app/tags/list?n=0").json()["tags"] == []


def test_what_refers_to_an_image_is_found_and_filtered_by_type(registry: TestClient) -> None:
    push_image(registry, "v1")
    subject = descriptor(image(CONFIG, LAYER), media.OCI_MANIFEST)
    signature = json.loads(image(CONFIG, subject=subject)) | {
        "artifactType": "application/x-signature",
        "annotations": {"by": "dana"},
    }
    pushed = put(registry, "sig", json.dumps(signature).encode())
    assert pushed.headers["OCI-Subject"] == subject["digest"]
    address = f"/v2/demo/app/referrers/{subject['digest']}"
    found = registry.get(address)
    assert found.headers["Content-Type"] == media.OCI_INDEX
    (entry,) = found.json()["manifests"]
    assert (entry["artifactType"], entry["annotations"]) == ("application/x-signature", {"by": "dana"})
    filtered = registry.get(address, params={"artifactType": "application/x-sbom"})
    assert filtered.json()["manifests"] == []
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert registry.get(f"/v2/demo/app/referrers/{digest(b'?')}").json()["manifests"] == []


@pytest.mark.parametrize("reference", ["-bad", "a" * 129, "sha256:12"])
def test_a_reference_out_of_the_grammar_is_refused(registry: TestClient, reference: str) -> None:
    push_image(registry, "v1")
    assert put(registry, reference, image(CONFIG, LAYER)).status_code == 400


def test_a_manifest_of_more_than_four_megabytes_is_refused(registry: TestClient) -> None:
    assert put(registry, "v1", b" " * (4 * 1024 * 1024 + 1)).status_code == 413


def test_the_catalog_lists_what_the_caller_may_pull(registry: TestClient) -> None:
    push_image(registry, "v1")
    push_image(registry, "v1", name="demo/app/worker")
    assert registry.get("/v2/_catalog?n=1").json() == {"repositories": ["demo/app"]}
    assert registry.get("/v2/_catalog?last=demo/app").json() == {"repositories": ["demo/app/worker"]}


def test_an_address_that_is_none_answers_in_the_specifications_shape(registry: TestClient) -> None:
    response = registry.get("/v2/demo/app/nonsense")
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "NAME_INVALID"
