import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.registry_house import descriptor, digest, image
from riad.oci import media
from riad.registry.document import read
from riad.registry.faults import Reason, Refusal


def test_an_image_needs_its_configuration_and_its_layers() -> None:
    found = read(image(b"{}", b"one", b"three"), media.OCI_MANIFEST)
    assert found.blobs == {digest(b"{}"), digest(b"one"), digest(b"three")}
    assert found.config_digest == digest(b"{}")
    assert found.image_size == 2 + 3 + 5


def test_an_index_needs_its_manifests_not_blobs() -> None:
    body = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [descriptor(b"m", media.OCI_MANIFEST)]}
    found = read(json.dumps(body).encode(), media.OCI_INDEX)
    assert found.manifests == {digest(b"m")}
    assert not found.blobs


def test_a_foreign_layer_need_not_be_here() -> None:
    body = json.loads(image(b"{}"))
    foreign = descriptor(b"windows", media.DOCKER_FOREIGN_LAYER_GZIP) | {"urls": ["https://example.org/layer"]}
    found = read(json.dumps(body | {"layers": [foreign]}).encode(), media.OCI_MANIFEST)
    assert found.blobs == {digest(b"{}")}


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"no json", media.OCI_MANIFEST, Reason.MANIFEST_INVALID),
        (b"[]", media.OCI_MANIFEST, Reason.MANIFEST_INVALID),
        (image(b"{}"), media.DOCKER_MANIFEST, Reason.MANIFEST_INVALID),
        (image(b"{}"), "text/plain", Reason.UNSUPPORTED),
        (image(b"{}"), media.DOCKER_SCHEMA1, Reason.UNSUPPORTED),
        (b'{"schemaVersion": 1}', "", Reason.UNSUPPORTED),
        (b" " * (4 * 1024 * 1024 + 1), media.OCI_MANIFEST, Reason.TOO_LARGE),
    ],
)
def test_what_is_not_a_manifest_is_refused_by_its_own_reason(body: bytes, content_type: str, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        read(body, content_type)
    assert refused.value.reason is reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=80)
@given(
    st.fixed_dictionaries(
        {"schemaVersion": st.just(2)},
        optional={"config": _JSON, "layers": _JSON, "manifests": _JSON, "subject": _JSON, "annotations": _JSON},
    ),
    st.sampled_from([media.OCI_MANIFEST, media.OCI_INDEX]),
)
def test_any_document_is_read_or_refused(body: dict[str, object], content_type: str) -> None:
    with suppress(Refusal):
        assert read(json.dumps(body).encode(), content_type).media_type == content_type
