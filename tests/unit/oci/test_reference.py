from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.oci.reference import Reference, is_repository_path, parse_reference

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("python", "docker.io/library/python", "python"),
        ("python:3.11", "docker.io/library/python:3.11", "python:3.11"),
        ("docker.io/python", "docker.io/library/python", "python"),
        ("index.docker.io/library/python", "docker.io/library/python", "python"),
        ("ada/app:1", "docker.io/ada/app:1", "ada/app:1"),
        ("localhost/app", "localhost/app", "localhost/app"),
        (
            "localhost:8080/demo/flask-hello:v1",
            "localhost:8080/demo/flask-hello:v1",
            "localhost:8080/demo/flask-hello:v1",
        ),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("ghcr.example/a/b/c@sha256:" + HEX, "ghcr.example/a/b/c@sha256:" + HEX, "ghcr.example/a/b/c@sha256:" + HEX),
        ("app:1@sha256:" + HEX, "docker.io/library/app:1@sha256:" + HEX, "app:1@sha256:" + HEX),
        ("HOST/app", "HOST/app", "HOST/app"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
    ],
)
def test_a_name_is_completed_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    found = parse_reference(text)
    assert str(found) == canonical
    assert found.familiar == familiar
    assert parse_reference(found.familiar) == found
    assert parse_reference(canonical) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("Python", "repository name (library/Python) must be lowercase"),
        ("ada/App:1", "repository name (ada/App) must be lowercase"),
        ("a:", "invalid reference format"),
        ("a:.x", "invalid reference format"),
        ("a@sha256:12", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("../a", "invalid reference format"),
        (HEX, "cannot specify 64-byte hexadecimal strings"),
        ("a/" * 130 + "a", "must not be more than 255 characters"),
    ],
)
def test_a_bad_name_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_reference(text)
    assert caught.value.kind is Kind.INVALID
    assert message in caught.value.message


def test_latest_is_only_meant_where_nothing_is_written() -> None:
    assert parse_reference("a").with_default_tag().tag == "latest"
    assert parse_reference("a:1").with_default_tag().tag == "1"
    assert parse_reference("a@sha256:" + HEX).with_default_tag().tag is None


def test_repository_paths_are_lower_case_components() -> None:
    assert is_repository_path("demo/flask-hello/web__x")
    assert not is_repository_path("demo//x")
    assert not is_repository_path("Demo")


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_invalid(text: str) -> None:
    found: Reference | Kind
    try:
        found = parse_reference(text)
    except Fault as fault:
        found = fault.kind
    assert found is Kind.INVALID or parse_reference(str(found)) == found
