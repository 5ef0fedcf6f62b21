from datetime import timedelta

from fakes.asgi import TestClient
from fakes.registry_house import House, digest, image
from riad.oci import media
from riad.registry import garbage, repositories
from riad.registry.blobs import key
from riad.registry.garbage import Collected

CONFIG, LAYER = b"{}", b"layer"


def push(registry: TestClient, tag: str, *layers: bytes) -> str:
    for blob in (CONFIG, *layers):
        registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(blob)}", content=blob)
    return put(registry, tag, *layers)


def put(registry: TestClient, tag: str, *layers: bytes) -> str:
    response = registry.put(
        f"/v2/demo/app/manifests/{tag}", content=image(CONFIG, *layers), headers={"Content-Type": media.OCI_MANIFEST}
    )
    assert response.status_code == 201, response.text
    return str(response.headers["Docker-Content-Digest"])


def collect(house: House, **options: object) -> Collected:
    return garbage.collect(house.database, house.blobs, house.parts, clock=house.clock, **options)  # type: ignore[arg-type]


def test_what_an_image_needs_is_kept_however_old(house: House, registry: TestClient) -> None:
    push(registry, "v1", LAYER)
    house.clock.advance(timedelta(days=400))
    assert collect(house, sweep_untagged=True) == Collected(0, 0, 0, 0)
    assert registry.get(f"/v2/demo/app/blobs/{digest(LAYER)}").content == LAYER


def test_a_blob_without_an_image_is_freed_after_the_grace(house: House, registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(LAYER)}", content=LAYER)
    assert collect(house).blobs == 0
    house.clock.advance(garbage.GRACE * 2)
    assert collect(house) == Collected(0, 0, 1, len(LAYER))
    assert house.blobs.size(key(digest(LAYER))) is None
    assert registry.head(f"/v2/demo/app/blobs/{digest(LAYER)}").status_code == 404


def test_a_push_that_was_told_a_blob_is_there_keeps_it(house: House, registry: TestClient) -> None:
    for blob in (CONFIG, LAYER):
        registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(blob)}", content=blob)
    house.clock.advance(garbage.GRACE * 2)
    answer = registry.get("/jwt/auth", params={"scope": "repository:demo/app:pull,push"}).json()["token"]
    for blob in (CONFIG, LAYER):
        headers = {"Authorization": f"Bearer {answer}"}
        registry.auth, basic = None, registry.auth
        assert registry.head(f"/v2/demo/app/blobs/{digest(blob)}", headers=headers).status_code == 200
        registry.auth = basic
    assert collect(house).blobs == 0
    put(registry, "v1", LAYER)


def test_an_image_without_a_tag_goes_only_when_asked_and_not_pinned(house: House, registry: TestClient) -> None:
    old = push(registry, "latest", LAYER)
    push(registry, "latest", b"newer layer")
    house.clock.advance(garbage.GRACE * 2)
    assert collect(house).manifests == 0
    assert collect(house, sweep_untagged=True, pinned=lambda _: frozenset({old})).manifests == 0
    collected = collect(house, sweep_untagged=True)
    assert collected.manifests == 1
    assert collected.blobs == 2  # the old layer and the old manifest; the configuration is shared
    assert registry.get("/v2/demo/app/manifests/latest").status_code == 200


def test_an_abandoned_upload_is_given_up(house: House, registry: TestClient) -> None:
    place = registry.post("/v2/demo/app/blobs/uploads/").headers["Location"]
    registry.patch(place, content=b"half")
    house.clock.advance(garbage.GRACE * 2)
    assert collect(house).uploads == 1
    assert list(house.parts.folder.iterdir()) == []
    assert registry.get(place).status_code == 404


def test_a_deleted_projects_bytes_are_freed(house: House, registry: TestClient) -> None:
    push(registry, "v1", LAYER)
    with house.database.write() as session:
        repositories.forget_project(session, house.projects.known["demo/app"].id)
    house.clock.advance(garbage.GRACE * 2)
    assert collect(house).blobs == 3


def test_a_sweep_cut_off_after_its_files_went_is_repaired_by_the_next_push(house: House, registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(LAYER)}", content=LAYER)
    house.blobs.delete(key(digest(LAYER)))
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(LAYER)}", content=LAYER)
    assert registry.get(f"/v2/demo/app/blobs/{digest(LAYER)}").content == LAYER
