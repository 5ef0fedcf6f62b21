"""Regular expressions, path patterns, times, and strangers' YAML."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.pipelines.language import durations, expressions, globs, regexes
from riad.pipelines.language.lint import lint
from riad.pipelines.runner.coverage import coverage_of

PIECES = st.sampled_from(
    ["a", "b", "[ab]", "[^a]", ".", "(a|b)", "(?:ab)", "a*", "b+?", "c?", "^", "$", r"\d", r"\b", "a{2,3}"]
)


@given(st.lists(PIECES, max_size=6).map("".join), st.text("abc1 \n", max_size=10))
def test_patterns_match_what_pythons_own_match(source, text):
    regex = regexes.literal(f"/{source}/")
    found = re.search(source.replace("$", r"\Z"), text, re.ASCII)
    assert regex.matches(text) is (found is not None)
    if found is not None and "(a|b)" not in source:
        assert regex.search(text) == found[0]


def test_a_pattern_that_ruins_a_backtracking_matcher_stays_fast():
    began = time.monotonic()
    assert not regexes.literal("/^(a+)+$/").matches("a" * 2000 + "b")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("source", ["/(?=a)/", r"/(a)\1/", "/a{1001}/", "/(/", "/((a{100}){100}){100}/", "no slashes"])
def test_patterns_that_re2_refuses_are_refused(source):
    with pytest.raises(regexes.BadRegexError):
        regexes.literal(source)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("**/*.md", "README.md", True),
        ("**/*.md", "docs/deep/README.md", True),
        ("src/**/*", "src/a/b.py", True),
        ("src/*", "src/a/b.py", False),
        ("*.{rb,py}", "x.py", True),
        (".*", ".hidden", True),
        ("*", ".hidden", True),
        ("a?c", "abc", True),
        ("[a-c].txt", "b.txt", True),
        ("[!a].txt", "a.txt", False),
        ("a/**/z", "a/z", True),
        ("x\\*y", "x*y", True),
    ],
)
def test_path_patterns_match_as_in_ruby(pattern, path, matches):
    assert globs.matches(pattern, path) is matches


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("out", "out/a/b"), ("out/", "out/a"), ("./out", "out/a"), ("out/**", "out/a/b"), ("**/x", "a/x/y")],
)
def test_an_artifact_path_takes_all_inside_a_folder(pattern, path):
    assert globs.selects(pattern, path)


@given(st.text("a*?/[]{},!\\.", max_size=12), st.text("a/b.", max_size=12))
def test_no_pattern_breaks_the_matcher(pattern, path):
    globs.matches(pattern, path)
    globs.selects(pattern, path)
    globs.fixed_part(pattern)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("42", 42),
        ("3 mins 4 sec", 184),
        ("2 hrs 20 min", 8400),
        ("2h20min", 8400),
        ("6 mos 1 day", 6 * 2592000 + 86400),
        ("3 weeks and 2 days", 23 * 86400),
        ("1 week", 604800),
        ("1.5 hours", 5400),
        ("10:30", 630),
        ("", None),
        ("soon", None),
        ("5 parsecs", None),
    ],
)
def test_times_are_read_as_gitlab_reads_them(text, seconds):
    assert durations.seconds(text) == seconds


@given(st.text("$AB=~!&|()\"'/ xnul", max_size=30), st.dictionaries(st.sampled_from("AB"), st.text("x/", max_size=3)))
def test_any_condition_is_evaluated_or_refused_with_a_reason(source, variables):
    if expressions.problem(source) is None:
        assert expressions.holds(source, variables) in (True, False)
    else:
        with pytest.raises(expressions.BadExpressionError):
            expressions.holds(source, variables)


FRAGMENTS = st.sampled_from(
    [
        "a:",
        " script: x",
        "\n",
        "- ",
        "&x ",
        "*x",
        "<<: *x",
        "!reference [a]",
        "{",
        "}",
        "[",
        "]",
        ":",
        "'",
        '"',
        "?",
        "|",
        "\t",
        "needs",
    ]
)


@settings(max_examples=200)
@given(st.lists(FRAGMENTS, max_size=25).map("".join) | st.text(max_size=60) | st.binary(max_size=60))
@example("a: &a [*a]")
@example("[" * 2000)
@example("a: {" * 400)
def test_any_file_is_read_or_refused_with_lines(text):
    refused = None
    try:
        lint(text)
    except Fault as fault:
        refused = fault
    if refused is not None:
        assert refused.kind is Kind.INVALID
        assert refused.findings
        assert all(finding.line is not None for finding in refused.findings)


@pytest.mark.parametrize("text", ["[" * 200_000, "a: " + "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_a_depth_that_would_overflow_the_composers_stack_is_refused(text):
    with pytest.raises(Fault, match="nested deeper than 100 levels"):
        lint(text)


def test_anchors_that_multiply_are_refused():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    with pytest.raises(Fault, match="once anchors are written out"):
        lint(bomb)


@pytest.mark.parametrize(
    ("log", "pattern", "percent"),
    [
        ("TOTAL 120 10 92%\n", r"/TOTAL.*\s+(\d+%)/", 92.0),
        ("Coverage: 41.5%\nCoverage: 88.25%\n", r"/Coverage: \d+\.\d+%/", 88.25),
        ("\x1b[32mlines 70%\x1b[0m", r"/lines (\d+)%$/", 70.0),
        ("nothing", r"/Coverage: \d+/", None),
    ],
)
def test_coverage_is_the_number_of_the_last_matching_line(log, pattern, percent):
    assert coverage_of(log, pattern) == percent


def test_an_include_with_rules_is_refused_since_it_would_be_included_whatever_they_say():
    with pytest.raises(Fault, match="include/0/rules: riad does not support `rules` yet"):
        lint("include: [{local: a.yml, rules: [{if: $NEVER}]}]\njob: {script: x}\n")
