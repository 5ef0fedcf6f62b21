"""Where an image is looked for, how to sign in there, what a refusal says: all without a registry."""

from __future__ import annotations

import base64

import pytest

from riad.engine.dockerapi.auth import registry_domain
from riad.engine.images.registry.credentials import (
    Challenge,
    Credentials,
    credentials_from_json,
    parse_challenges,
)
from riad.engine.images.registry.errors import pull_fault, refusal
from riad.engine.images.registry.places import Mirror, RegistryOptions, is_insecure, parse_mirror, pull_places
from riad.kernel.faults import Fault, Kind
from riad.oci.reference import parse_reference


def places(name: str, *mirrors: str, insecure: tuple[str, ...] = ()) -> list[str]:
    options = RegistryOptions(tuple(map(parse_mirror, mirrors)), insecure)
    return [place.url("manifests/x") for place in pull_places(parse_reference(name), options)]


def test_mirrors_come_first_and_the_longest_prefix_before_others() -> None:
    assert places("python", "http://m1:5000", "ghcr.example=https://m2", "docker.io/library=https://m3/proxy") == [
        "https://m3/proxy/v2/python/manifests/x".replace("/proxy/v2/", "/v2/proxy/"),
        "http://m1:5000/v2/library/python/manifests/x",
        "https://registry-1.docker.io/v2/library/python/manifests/x",
    ]
    assert places("ghcr.example/a/b", "http://m1:5000", "ghcr.example=https://m2") == [
        "https://m2/v2/a/b/manifests/x",
        "https://ghcr.example/v2/a/b/manifests/x",
    ]


def test_a_mirror_of_a_prefix_does_not_serve_names_that_only_begin_the_same() -> None:
    assert len(places("ghcr.example/teams/x", "ghcr.example/team=https://m")) == 1


def test_loopback_and_listed_registries_may_speak_plain_http() -> None:
    assert places("localhost:8080/a/b") == ["http://localhost:8080/v2/a/b/manifests/x"]
    assert is_insecure("127.3.4.5:5000", ())
    assert is_insecure("[::1]:5000", ())
    assert is_insecure("reg.lan:5000", ("reg.lan:5000",))
    assert is_insecure("reg.lan:5000", ("reg.lan",))
    assert is_insecure("10.1.2.3:5000", ("10.0.0.0/8",))
    assert not is_insecure("reg.lan:5001", ("reg.lan:5000", "10.0.0.0/8"))
    assert not is_insecure("localhost.evil.example", ())


@pytest.mark.parametrize("text", ["m1:5000", "ftp://m", "a=b", "https://", "https://m?x=1"])
def test_what_is_no_mirror_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="invalid mirror"):
        parse_mirror(text)


def test_a_mirror_may_name_what_it_mirrors() -> None:
    assert parse_mirror("https://m/") == Mirror("docker.io", "https://m")
    assert parse_mirror("quay.example/x=https://m/y") == Mirror("quay.example/x", "https://m/y")


def test_challenges_are_read_whatever_stands_in_their_quotes() -> None:
    header = 'Bearer realm="http://r/jwt/auth?a=b,c",service="container_registry",scope="repository:x:pull,push"'
    assert parse_challenges(header) == [Challenge("bearer", "http://r/jwt/auth?a=b,c", "container_registry")]
    both = 'Negotiate, Basic realm="x", Bearer realm="y",service="z"'
    assert parse_challenges(both) == [Challenge("basic", "x"), Challenge("bearer", "y", "z")]


def test_credentials_never_show_their_secrets() -> None:
    assert "hidden" not in repr(Credentials("ada", "hidden", "hidden", "hidden"))


def test_old_clients_send_user_and_password_in_one() -> None:
    packed = base64.b64encode(b"ada:se:cret").decode()
    assert credentials_from_json({"auth": packed}) == Credentials("ada", "se:cret")
    assert not credentials_from_json({})
    assert credentials_from_json({"identitytoken": "t"}) == Credentials(identity_token="t")


@pytest.mark.parametrize(
    ("status", "code", "kind", "sentence"),
    [
        (404, "MANIFEST_UNKNOWN", Kind.NOT_FOUND, "manifest for app:1 not found: manifest unknown: gone"),
        (
            404,
            "NAME_UNKNOWN",
            Kind.NOT_FOUND,
            "pull access denied for app, repository does not exist or may require 'docker login': name unknown: gone",
        ),
        (
            403,
            "DENIED",
            Kind.NOT_FOUND,
            "pull access denied for app, repository does not exist or may require 'docker login': denied: gone",
        ),
        (
            401,
            "UNAUTHORIZED",
            Kind.NOT_FOUND,
            "pull access denied for app, repository does not exist or may require 'docker login': unauthorized: gone",
        ),
        (429, "TOOMANYREQUESTS", Kind.EXHAUSTED, "toomanyrequests: gone"),
    ],
)
def test_a_refused_pull_is_told_in_dockers_sentences(status: int, code: str, kind: Kind, sentence: str) -> None:
    body = f'{{"errors": [{{"code": "{code}", "message": "gone"}}]}}'.encode()
    fault = pull_fault(refusal(status, "x", body), parse_reference("app:1"))
    assert (fault.kind, fault.message) == (kind, sentence)


def test_a_refusal_that_is_not_a_registrys_is_shown_as_it_came() -> None:
    error = refusal(502, "Bad Gateway", b"<html>proxy</html>")
    assert str(error) == "received unexpected HTTP status: 502 Bad Gateway: <html>proxy</html>"


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://reg.example/v2/", "reg.example"),
    ],
)
def test_a_login_names_its_registry_in_many_ways(address: str, domain: str) -> None:
    assert registry_domain(address) == domain
