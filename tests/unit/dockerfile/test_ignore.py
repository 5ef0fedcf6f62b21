from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riad.dockerfile.ignore import parse_ignore


@pytest.mark.parametrize(
    ("text", "path", "excluded"),
    [
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "b/a", False),
        ("/a/", "a", True),
        ("./a", "a", True),
        ("a/../b", "b", True),
        ("*.md", "x.md", True),
        ("*.md", "d/x.md", False),
        ("*/*.md", "d/x.md", True),
        ("**/*.md", "x.md", True),
        ("**/*.md", "d/e/x.md", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("**/node_modules", "x/node_modules/y", True),
        ("**", "anything/at/all", True),
        ("?x", "ax", True),
        ("?x", "/x", False),
        ("[ab]c", "bc", True),
        ("[^ab]c", "bc", False),
        ("[a-c]d", "bd", True),
        ("[--/]x", ".x", True),
        ("[a-]b", "-b", True),
        ("[a&&b]c", "&c", True),
        ("[?--]", "[?--]", True),
        ("[", "[", True),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("# comment", "# comment", False),
        (" a ", "a", True),
        ("", "a", False),
        (".", "a", False),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README.md", "x.md", True),
        ("!README.md\n*.md", "README.md", True),
        ("d\n!d/keep", "d/keep", False),
        ("d\n!d/keep", "d/keep/deep", False),
        ("d\n!d/keep", "d/other", True),
        ("!d/keep\nd", "d/keep", True),
        ("*\n!src", "src/x", False),
        ("a.b", "axb", False),
        ("a+b", "a+b", True),
    ],
)
def test_a_path_is_left_out_as_in_docker(text: str, path: str, excluded: bool) -> None:
    assert parse_ignore(text).excludes(path) is excluded


def test_the_deciding_pattern_knows_its_line() -> None:
    pattern = parse_ignore("# nothing\n\nsecret*\n").deciding("secret.txt")
    assert pattern is not None
    assert (pattern.line, pattern.text) == (3, "secret*")


@given(st.text(alphabet="ab/*?[]!^\\-.#&| \n", max_size=30), st.text(alphabet="ab/.[", max_size=10))
@settings(max_examples=300, deadline=None)
def test_no_file_is_too_strange(text: str, path: str) -> None:
    assert parse_ignore(text).excludes(path) in (True, False)
