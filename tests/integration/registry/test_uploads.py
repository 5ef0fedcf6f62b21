from sqlalchemy import select

from fakes.asgi import TestClient
from fakes.registry_house import PASSWORD, House, digest
from riad.registry.blobs import key
from riad.registry.store import BlobRow, UploadRow

BLOB = b"a layer, or nearly one" * 100


def begin(registry: TestClient, name: str = "demo/app") -> str:
    response = registry.post(f"/v2/{name}/blobs/uploads/")
    assert response.status_code == 202
    return response.headers["Location"]


def test_a_blob_comes_in_one_piece(registry: TestClient) -> None:
    response = registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(BLOB)}", content=BLOB)
    assert response.status_code == 201
    read = registry.get(response.headers["Location"])
    assert read.content == BLOB
    assert read.headers["Docker-Content-Digest"] == digest(BLOB)
    assert registry.head(response.headers["Location"]).headers["Content-Length"] == str(len(BLOB))


def test_chunks_must_follow_each_other(registry: TestClient) -> None:
    place = begin(registry)
    first = registry.patch(place, content=BLOB[:100], headers={"Content-Range": "0-99"})
    assert (first.status_code, first.headers["Range"]) == (202, "0-99")
    gap = registry.patch(place, content=BLOB[200:], headers={"Content-Range": f"200-{len(BLOB) - 1}"})
    assert gap.status_code == 416
    rest = registry.put(
        f"{place}?digest={digest(BLOB)}", content=BLOB[100:], headers={"Content-Range": f"100-{len(BLOB) - 1}"}
    )
    assert rest.status_code == 201
    assert registry.get(f"/v2/demo/app/blobs/{digest(BLOB)}").content == BLOB


def test_an_upload_goes_on_after_the_server_was_restarted(house: House, registry: TestClient) -> None:
    from .conftest import client_of

    place = begin(registry)
    registry.patch(place, content=BLOB[:100])
    part = house.parts.path(place.rpartition("/")[2])
    part.write_bytes(part.read_bytes() + b"never acknowledged")
    with client_of(house.restarted()) as again:
        again.auth = ("dana", PASSWORD)
        asked = again.get(place)
        assert (asked.status_code, asked.headers["Range"]) == (204, "0-99")
        again.patch(place, content=BLOB[100:])
        assert again.put(f"{place}?digest={digest(BLOB)}").status_code == 201
        assert again.get(f"/v2/demo/app/blobs/{digest(BLOB)}").content == BLOB


def test_bytes_that_are_not_their_digest_are_dropped(house: House, registry: TestClient) -> None:
    place = begin(registry)
    response = registry.put(f"{place}?digest={digest(b'else')}", content=BLOB)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "DIGEST_INVALID"
    with house.database.read() as session:
        assert session.scalars(select(UploadRow)).all() == []
    assert list(house.parts.folder.iterdir()) == []


def test_a_content_range_that_lies_about_its_length_is_refused(registry: TestClient) -> None:
    response = registry.patch(begin(registry), content=b"abc", headers={"Content-Range": "0-9"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "SIZE_INVALID")


def test_an_upload_given_up_is_gone(registry: TestClient) -> None:
    place = begin(registry)
    assert registry.delete(place).status_code == 204
    assert registry.get(place).json()["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"


def test_the_empty_blob_is_a_blob(registry: TestClient) -> None:
    assert registry.put(f"{begin(registry)}?digest={digest(b'')}").status_code == 201
    assert registry.get(f"/v2/demo/app/blobs/{digest(b'')}").content == b""


def test_the_same_bytes_are_kept_once(house: House, registry: TestClient) -> None:
    for name in ("demo/app", "demo/app/worker"):
        assert registry.post(f"/v2/{name}/blobs/uploads/?digest={digest(BLOB)}", content=BLOB).status_code == 201
    with house.database.read() as session:
        assert len(session.scalars(select(BlobRow)).all()) == 1
    assert house.blobs.size(key(digest(BLOB))) == len(BLOB)
    assert list(house.parts.folder.iterdir()) == []


def test_a_blob_is_mounted_without_being_sent(registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(BLOB)}", content=BLOB)
    mounted = registry.post(f"/v2/demo/app/worker/blobs/uploads/?mount={digest(BLOB)}&from=demo/app")
    assert mounted.status_code == 201
    assert registry.get(mounted.headers["Location"]).content == BLOB


def test_a_blob_that_cannot_be_mounted_is_uploaded_instead(registry: TestClient) -> None:
    response = registry.post(f"/v2/demo/app/blobs/uploads/?mount={digest(BLOB)}&from=demo/nowhere")
    assert response.status_code == 202


def test_knowing_a_digest_gives_no_right_to_its_bytes(registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(BLOB)}", content=BLOB)
    assert registry.get(f"/v2/demo/app/worker/blobs/{digest(BLOB)}").status_code == 404
    assert registry.get(f"/v2/demo/open/blobs/{digest(BLOB)}").status_code == 404


def test_a_part_of_a_blob_is_read_by_range(registry: TestClient) -> None:
    registry.post(f"/v2/demo/app/blobs/uploads/?digest={digest(BLOB)}", content=BLOB)
    address = f"/v2/demo/app/blobs/{digest(BLOB)}"
    part = registry.get(address, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, BLOB[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(BLOB)}"
    beyond = registry.get(address, headers={"Range": f"bytes={len(BLOB)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(BLOB)}")
