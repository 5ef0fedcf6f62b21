"""Packages found in an image's files, versions in order, advisories that hit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.registry.sbom.advisories import Affected, hit, load, parse
from riad.registry.sbom.packages import Package, packages_in
from riad.registry.sbom.versions import compare

STATUS = b"""Package: libssl3
Status: install ok installed
Source: openssl (3.0.15-1)
Version: 3.0.15-1~deb12u1

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Description: shell
 with: more lines
"""

FILES = {
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS,
    "usr/lib/python3/dist-packages/Some_Thing-1.2.dist-info/METADATA": b"Name: Some_Thing\nVersion: 1.2\n\nName: no\n",
    "app/node_modules/@scope/part/package.json": b'{"name": "@scope/part", "version": "1.0.0-rc.1"}',
    "app/node_modules/broken/package.json": b"{",
}


def test_packages_are_found_by_what_their_managers_note() -> None:
    assert [(p.ecosystem, p.name, p.version, p.source, p.source_version) for p in packages_in(FILES)] == [
        ("Debian:12", "bash", "5.2.15-2+b7", "bash", "5.2.15-2+b7"),
        ("Debian:12", "libssl3", "3.0.15-1~deb12u1", "openssl", "3.0.15-1"),
        ("PyPI", "some-thing", "1.2", "some-thing", "1.2"),
        ("npm", "@scope/part", "1.0.0-rc.1", "@scope/part", "1.0.0-rc.1"),
    ]


@pytest.mark.parametrize(
    ("ecosystem", "ordered"),
    [
        ("Debian:12", ["1.0~rc1", "1.0", "1.0-1", "1.0-1+b1", "1.0a", "1.0+x", "1.1", "1.10", "1:0.5"]),
        ("PyPI", ["1.0.dev1", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.10", "1!0.1"]),
        ("npm", ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.2", "1.0.0", "1.0.1", "1.10.0"]),
    ],
)
def test_versions_are_ordered_as_their_ecosystem_says(ecosystem: str, ordered: list[str]) -> None:
    for place, left in enumerate(ordered):
        for other, right in enumerate(ordered):
            found = compare(ecosystem, left, right)
            assert (found > 0) - (found < 0) == (place > other) - (place < other), (left, right)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["Debian", "PyPI", "npm"]))
def test_any_two_versions_can_be_compared_either_way(left: str, right: str, ecosystem: str) -> None:
    one, other = compare(ecosystem, left, right), compare(ecosystem, right, left)
    assert (one > 0) == (other < 0)


OPENSSL = Package("Debian:12", "libssl3", "3.0.15-1", "openssl", "3.0.15-1", "")


@pytest.mark.parametrize(
    ("affected", "fixed"),
    [
        (Affected("Debian:12", "openssl", (("0", "3.0.16-1", ""),), frozenset()), "3.0.16-1"),
        (Affected("Debian", "openssl", (("0", "", ""),), frozenset()), ""),
        (Affected("Debian:12", "openssl", (("0", "3.0.15-1", ""),), frozenset()), None),
        (Affected("Debian:12", "openssl", (("3.1", "3.2", ""),), frozenset()), None),
        (Affected("Debian:12", "openssl", (("0", "", "3.0.15-1"),), frozenset()), ""),
        (Affected("Debian:11", "openssl", (("0", "", ""),), frozenset()), None),
        (Affected("Debian:12", "libssl3", (("0", "", ""),), frozenset()), None),
        (Affected("Debian:12", "openssl", (), frozenset({"3.0.15-1"})), ""),
    ],
)
def test_an_advisory_hits_a_range_or_a_version_of_its_release(affected: Affected, fixed: str | None) -> None:
    assert hit(OPENSSL, affected) == fixed


def test_advisories_are_read_from_files_and_folders_and_what_is_none_is_told(tmp_path: Path) -> None:
    one = {
        "id": "DSA-1",
        "summary": "bad",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": "openssl"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.16-1"}]}],
            }
        ],
    }
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "list.json").write_text(json.dumps([one, one | {"id": "DSA-2", "withdrawn": "2026-01-01"}]))
    (tmp_path / "lines.json").write_text(json.dumps(one | {"id": "X-1"}) + "\n" + json.dumps(one | {"id": "X-2"}))
    (tmp_path / "wrong.json").write_text("no json")
    found = load(tmp_path)
    assert found.count == 3
    assert [problem.split("/")[-1].partition(":")[0] for problem in found.problems] == ["wrong.json"]
    worst = found.of([OPENSSL])[0]
    assert (worst.advisory.severity, worst.fixed) == ("critical", "3.0.16-1")
    assert load(tmp_path / "none").problems


def test_severities_in_words_go_before_scores() -> None:
    [found] = parse('{"id": "G", "database_specific": {"severity": "MODERATE"}, "severity": [{"score": "9.9"}]}')
    assert found.severity == "medium"
