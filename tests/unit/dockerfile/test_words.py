from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riad.dockerfile.errors import Mistake
from riad.dockerfile.words import expand, expand_variables, expand_words, split

_VARIABLES = {"A": "one", "EMPTY": "", "P": "/usr/local/bin", "S": "a b", "ñ": "yes"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$Ax", ""),
        ("$NO", ""),
        ("$", "$"),
        ("$ A", "$ A"),
        ("a$", "a$"),
        ("'$A'", "$A"),
        ('"$A"', "one"),
        ('"\\$A"', "$A"),
        ("\\$A", "$A"),
        ("a\\ b", "a b"),
        ('"a\\nb"', "a\\nb"),
        ('"a\\"b"', 'a"b'),
        ("'a'\"b\"c", "abc"),
        ("${A:-x}", "one"),
        ("${NO:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NO-x}", "x"),
        ("${NO:-$A}", "one"),
        ("${NO:-${ALSO:-deep}}", "deep"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NO+x}", ""),
        ("${A?gone}", "one"),
        ("${P#*/}", "usr/local/bin"),
        ("${P##*/}", "bin"),
        ("${P%/*}", "/usr/local"),
        ("${P%%/*}", ""),
        ("${P#nope}", "/usr/local/bin"),
        ("${P/local/x}", "/usr/x/bin"),
        ("${P//\\//-}", "-usr-local-bin"),
        ("${P/l*l/x}", "/usr/x/bin"),
        ("${P//?/x}", "xxxxxxxxxxxxxx"),
        ("${A#o?}", "e"),
        ("${A%\\e}", "on"),
        ("$1x", "x"),
        ("$ñ", "yes"),
    ],
)
def test_a_word_expands_as_in_docker(text: str, expected: str) -> None:
    assert expand(text, _VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${A", "missing '}'"),
        ("${", "missing '}'"),
        ("${}", "bad substitution"),
        ("${:x}", "bad substitution"),
        ("${A!x}", "unsupported modifier (!)"),
        ("${A:#x}", "unsupported modifier (:#)"),
        ("${A:-x", "missing '}'"),
        ("'a", "matching single-quote"),
        ('"a', "matching double-quote"),
        ("${NO?is missing}", "NO: is missing"),
        ("${NO?}", "NO: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${A:-" * 100 + "}" * 100, "nested more than"),
    ],
)
def test_a_wrong_word_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(Mistake) as caught:
        expand(text, _VARIABLES)
    assert message in str(caught.value)


def test_a_backtick_escapes_where_the_directive_says_so() -> None:
    assert expand("c:\\x`$A$A", _VARIABLES, escape="`") == "c:\\x$Aone"


def test_a_variable_outside_quotes_may_become_several_words() -> None:
    assert expand_words('$S "$S" c', _VARIABLES) == ["a", "b", "a b", "c"]


def test_quotes_are_text_in_a_here_document() -> None:
    assert expand_variables("'$A' \"\\$A\" \\n", _VARIABLES) == "'one' \"$A\" \\n"


def test_splitting_keeps_quotes_and_escapes() -> None:
    assert split("a 'b c' d\\ e \"f g\"h") == ["a", "'b c'", "d\\ e", '"f g"h']


@given(st.text(alphabet="$${}:-+?#%/*\\'\"Aab \x00é", max_size=40))
@settings(max_examples=500, deadline=None)
def test_no_text_fails_otherwise_than_by_a_mistake(text: str) -> None:
    for verb in (expand, expand_words, expand_variables):
        with contextlib.suppress(Mistake):
            verb(text, _VARIABLES)
