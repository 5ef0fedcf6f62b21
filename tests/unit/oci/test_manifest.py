from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.descriptor import Descriptor
from riad.oci.digest import digest_of, parse_digest
from riad.oci.manifest import Index, Manifest, parse_manifest
from riad.oci.platform import Platform, best, host_platform, parse_platform

ONE, TWO = digest_of(b"1"), digest_of(b"2")
NAMES = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "digest",
    "size",
    "platform",
    "rootfs",
    "diff_ids",
    "history",
    "annotations",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


def test_a_manifest_comes_back_from_its_bytes() -> None:
    manifest = Manifest(
        media.OCI_MANIFEST,
        Descriptor(media.OCI_CONFIG, ONE, 1),
        (Descriptor(media.OCI_LAYER_GZIP, TWO, 2, annotations={"a": "b"}),),
        subject=Descriptor(media.OCI_MANIFEST, TWO, 3),
        annotations={"x": "y"},
    )
    assert parse_manifest(manifest.encode()) == manifest


def test_the_body_says_what_it_is_before_the_content_type_does() -> None:
    body = Manifest(media.DOCKER_MANIFEST, Descriptor(media.DOCKER_CONFIG, ONE, 1), ()).encode()
    assert parse_manifest(body, media.OCI_MANIFEST).media_type == media.DOCKER_MANIFEST
    bare = json.loads(body)
    del bare["mediaType"]
    assert parse_manifest(json.dumps(bare).encode(), f"{media.DOCKER_MANIFEST}; charset=utf-8").media_type == (
        media.DOCKER_MANIFEST
    )
    assert parse_manifest(json.dumps(bare).encode()).media_type == media.OCI_MANIFEST


def test_schema_1_is_named_when_it_is_refused() -> None:
    with pytest.raises(Fault, match="schema 1") as caught:
        parse_manifest(b'{"schemaVersion": 1}')
    assert caught.value.kind is Kind.UNSUPPORTED


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "manifest is not a JSON object"),
        (b"{", "manifest is not JSON"),
        (b'{"schemaVersion": 3}', "manifest/schemaVersion"),
        (b'{"schemaVersion": 2, "config": {"size": 1, "digest": "x"}}', "invalid digest 'x'"),
        (b'{"schemaVersion": 2, "config": {"size": -1}}', "manifest/config/size"),
        (b'{"schemaVersion": 2, "manifests": {}}', "manifest/manifests: expected a list"),
        (b'{"schemaVersion": 2, "manifests": [1]}', "manifest/manifests/0: expected an object"),
        (b'{"schemaVersion": 2}', "neither an image manifest nor an index"),
    ],
)
def test_a_broken_manifest_is_refused_by_the_path_of_what_is_wrong(body: bytes, path: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_manifest(body)
    assert path in caught.value.message


def test_an_index_gives_the_entry_for_the_platform() -> None:
    arm, amd, other = Platform("linux", "arm", "v6"), Platform("linux", "amd64"), Platform("windows", "amd64")
    entries = [
        Descriptor(media.OCI_MANIFEST, digest_of(bytes([n])), 1, platform=p) for n, p in enumerate((other, arm, amd))
    ]
    index = Index(media.OCI_INDEX, tuple(entries))
    assert index.choose(Platform("linux", "amd64")) == entries[2]
    assert index.choose(Platform("linux", "arm", "v7")) == entries[1]
    assert index.choose(Platform("linux", "s390x")) is None
    assert parse_manifest(index.encode()) == index


def test_the_highest_variant_that_runs_is_taken() -> None:
    wanted = parse_platform("linux/arm/v7")
    offers = [Platform("linux", "arm", variant) for variant in ("v5", "v6", "v8")]
    assert best(wanted, offers) == 1
    assert best(wanted, [None, *offers, wanted]) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("linux/aarch64/v8", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
    ],
)
def test_platforms_are_normalised(text: str, expected: str) -> None:
    assert str(parse_platform(text)) == expected


def test_the_host_has_a_platform_by_its_machine_name() -> None:
    assert host_platform("x86_64") == Platform("linux", "amd64")
    assert host_platform("armv7l") == Platform("linux", "arm", "v7")


@pytest.mark.parametrize("text", ["", "a/b/c/d", "linux//v7"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        parse_platform(text)


@pytest.mark.parametrize(
    "text", ["sha256:" + "A" * 64, "sha256:12", "md5:" + "a" * 32, "sha256:" + "a" * 64 + "\n", ""]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        parse_digest(text)


@given(JSON)
def test_any_json_is_a_manifest_or_a_clear_refusal(value: object) -> None:
    for read in (parse_manifest, parse_image_config):
        refused = None
        try:
            read(json.dumps(value).encode())
        except Fault as fault:
            refused = fault.kind
        assert refused in (None, Kind.INVALID, Kind.UNSUPPORTED)
