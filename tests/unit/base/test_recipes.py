"""Which base images a host can make, and what is run for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from riad.base import recipes
from riad.base.build import Ingredients, command, environment, release_epoch
from riad.base.host import Source, fingerprint, parse_os_release, parse_uris, sources_for
from riad.base.update import Upgrade, parse
from riad.kernel.faults import Fault, Kind
from riad.oci.reference import parse_reference

URIS = """\
'http://mirror.test/debian/dists/bookworm/InRelease' x_InRelease 0
'http://mirror.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0
'http://mirror.test/debian/dists/bookworm/main/binary-all/Packages.xz' x 0
'http://mirror.test/debian/dists/bookworm-updates/main/binary-amd64/Packages.xz' x 0
'http://mirror.test/security/dists/bookworm-security/main/binary-amd64/Packages.xz' x 0
'https://vendor.test/apt/dists/stable/main/binary-amd64/Packages.gz' x 0
"""


def find(name: str, distribution: str = "debian", codename: str = "bookworm") -> str:
    recipe = recipes.find(parse_reference(name), distribution, codename)
    return f"{recipe.name} {recipe.release.codename}"


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("python:3.11", "python:3.11 bookworm"),
        ("python:3.11-slim", "python:3.11 bookworm"),
        ("python:3.11-slim-bookworm", "python:3.11 bookworm"),
        ("python:3", "python:3.11 bookworm"),
        ("python", "python:3.11 bookworm"),
        ("docker.io/library/python:slim", "python:3.11 bookworm"),
        ("python:3.13", "python:3.13 trixie"),
        ("debian:12", "debian:bookworm bookworm"),
        ("debian:latest", "debian:bookworm bookworm"),
        ("debian:bookworm-slim", "debian:bookworm bookworm"),
        ("debian:13", "debian:trixie trixie"),
        ("node:18", "node:18 bookworm"),
        ("docker:cli", "docker:cli bookworm"),
    ],
)
def test_the_well_known_names_have_recipes(name: str, recipe: str) -> None:
    assert find(name) == recipe


def test_an_older_python_comes_from_the_release_that_has_it() -> None:
    assert find("python:3.11", codename="trixie") == "python:3.11 bookworm"
    assert find("python:3", codename="trixie") == "python:3.13 trixie"
    assert find("docker:cli", codename="trixie") == "docker:cli trixie"
    assert find("ubuntu:24.04", "ubuntu", "noble") == "ubuntu:noble noble"


@pytest.mark.parametrize(
    "name", ["python:3.8", "alpine", "ada/python:3.11", "localhost:8080/python:3.11", "debian:12.5"]
)
def test_what_cannot_be_made_is_answered_with_what_can(name: str) -> None:
    with pytest.raises(Fault) as caught:
        find(name)
    assert caught.value.kind is Kind.NOT_FOUND
    assert "python:3.11" in caught.value.message
    assert "docker:cli" in caught.value.message


def test_sources_are_read_from_what_apt_would_fetch() -> None:
    found = parse_uris(URIS)
    assert Source("https://vendor.test/apt", "stable", "main") in found
    assert [source.line() for source in sources_for(found, "bookworm", "trixie")] == [
        "deb http://mirror.test/debian trixie main",
        "deb http://mirror.test/debian trixie-updates main",
        "deb http://mirror.test/security trixie-security main",
    ]


def test_a_suite_in_a_folder_of_its_own_is_read_too() -> None:
    text = "'http://m/d/dists/buster/updates/main/binary-amd64/Packages.xz' x 0"
    assert parse_uris(text) == [Source("http://m/d", "buster/updates", "main")]


def ingredients(name: str, *authorities: Path) -> Ingredients:
    recipe = recipes.find(parse_reference(name), "debian", "bookworm")
    return Ingredients(recipe, tuple(sources_for(parse_uris(URIS), "bookworm", "bookworm")), authorities)


def test_authorities_are_installed_only_where_the_host_has_some(tmp_path: Path) -> None:
    certificate = tmp_path / "a.crt"
    certificate.write_text("x")
    plain, trusting = ingredients("debian:12"), ingredients("debian:12", certificate)
    assert plain.key() != trusting.key()
    assert not any("authorities" in word or "--include" in word for word in command(plain, Path("/t")))
    assert any("authorities" in word for word in command(trusting, Path("/t")))
    assert "--include=ca-certificates" in command(trusting, Path("/t"))
    assert not any("SSL_CERT_FILE" in line for line in plain.changes())
    assert 'ENV PIP_CERT="/etc/ssl/certs/ca-certificates.crt"' in trusting.changes()


def test_the_key_changes_with_the_content_of_authorities_not_their_names(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text)
    assert fingerprint([tmp_path / "a"]) == fingerprint([tmp_path / "b"])
    assert fingerprint([tmp_path / "a"]) != fingerprint([tmp_path / "c"])


def test_python_is_ready_to_install_into() -> None:
    wanted = ingredients("python:3.11")
    argv = command(wanted, Path("/t"))
    assert "--include=python3,python3-pip,python3-venv,python-is-python3,ca-certificates" in argv
    assert argv[-3:] == ["bookworm", "/t", "-"]
    assert any("free_pip" in word for word in argv)
    assert 'CMD ["python3"]' in wanted.changes()
    assert f"LABEL riad.base={wanted.key()}" in wanted.changes()


def test_the_tools_run_in_no_ones_language_and_at_a_fixed_date() -> None:
    made = environment(ingredients("debian:12"), 5, {"LC_ALL": "de_DE", "LANG": "x", "PATH": "/bin"})
    assert made == {"PATH": "/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "5", "RIAD_BASE_AUTHORITIES": ""}


def test_the_date_is_the_suites() -> None:
    assert release_epoch("Suite: x\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nValid: y\n") == 1783764997
    with pytest.raises(Fault, match="no date"):
        release_epoch("Suite: x\n")


def test_os_release_is_read_with_and_without_quotes() -> None:
    assert parse_os_release('ID=debian\nVERSION_CODENAME="trixie"\n# x\n') == {
        "ID": "debian",
        "VERSION_CODENAME": "trixie",
    }


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("postgres:15", ['ENTRYPOINT ["docker-entrypoint.sh"]', "EXPOSE 5432/tcp", "STOPSIGNAL SIGINT"]),
        ("redis:7", ["EXPOSE 6379/tcp", "VOLUME /data", "WORKDIR /data", 'CMD ["redis-server"]']),
        ("nginx:latest", ["EXPOSE 80/tcp", 'CMD ["nginx", "-g", "daemon off;"]']),
    ],
)
def test_services_are_what_the_well_known_images_are(name: str, lines: list[str]) -> None:
    recipe = recipes.find(parse_reference(name), "debian", "bookworm")
    changes = recipe.changes(key="k", extra_authorities=False)
    assert [line for line in lines if line not in changes] == []


def test_what_a_release_has_besides_does_not_change_what_is_kept() -> None:
    recipe = recipes.find(parse_reference("debian:bookworm"), "debian", "bookworm")
    assert recipe.text() == (
        "Recipe(family='debian', tag='bookworm', release=Release(distribution='debian', codename='bookworm', "
        "version='12', python='3.11', node='18', docker='docker.io'), packages=(), steps=(), env=(), command=('bash',))"
    )


def test_only_packages_that_get_newer_are_upgrades() -> None:
    simulated = """Reading package lists...
Inst libssl3 [3.0.15-1] (3.0.16-1 Debian-Security:12 [amd64])
Inst new-one (1.0 Debian:12 [amd64])
Conf libssl3 (3.0.16-1 Debian-Security:12 [amd64])
"""
    assert parse(simulated) == [Upgrade("libssl3", "3.0.15-1", "3.0.16-1")]
