from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.pipelines.reports.junit import MAX_DEPTH, TestCase, parse


def read(text: str) -> list[TestCase]:
    return parse(io.BytesIO(text.encode()))


def test_pytests_report_is_read():
    cases = read("""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="1" tests="3" time="0.1">
<testcase classname="tests.test_app" name="test_ok" time="0.010"/>
<testcase classname="tests.test_app" name="test_no" time="0.020"><failure message="assert 1 == 2">trace
</failure></testcase>
<testcase classname="tests.test_app" name="test_skip" time="0">
<skipped message="why" type="x">file:1</skipped></testcase>
</testsuite></testsuites>""")
    assert [(case.name, case.status) for case in cases] == [
        ("test_ok", "success"),
        ("test_no", "failed"),
        ("test_skip", "skipped"),
    ]
    assert cases[1].output == "assert 1 == 2\ntrace"
    assert cases[0].seconds == 0.01


def test_a_bare_suite_nested_suites_and_odd_numbers_are_read():
    cases = read("""<testsuite name="outer"><testsuite name="inner" file="x.php">
<testcase name="a" class="C" time="1,5"/><testcase name="b" time="1,234.5"/><testcase time="soon"/>
</testsuite></testsuite>""")
    assert [(case.suite, case.classname, case.file, case.seconds) for case in cases] == [
        ("inner", "C", "x.php", 1.5),
        ("inner", "", "x.php", 1234.5),
        ("inner", "", "x.php", 0.0),
    ]
    assert cases[2].name == "(without a name)"


def test_flaky_passes_and_reruns_that_never_passed_fail():
    cases = read("""<testsuite><testcase name="f"><flakyFailure>x</flakyFailure></testcase>
<testcase name="r"><rerunFailure>x</rerunFailure></testcase>
<testcase name="e"><error message="m"/></testcase></testsuite>""")
    assert [case.status for case in cases] == ["success", "failed", "error"]


def test_a_suite_with_errors_and_no_case_is_a_failed_case():
    cases = read("""<testsuites><testsuite name="GET /" tests="0" errors="1">
<system-err>connect ECONNREFUSED</system-err></testsuite></testsuites>""")
    assert [(case.suite, case.status, case.output) for case in cases] == [("GET /", "error", "connect ECONNREFUSED")]


@pytest.mark.parametrize(
    "text",
    [
        "not xml",
        "<html></html>",
        "<testsuite>",
        '<!DOCTYPE x [<!ENTITY a "b">]><testsuite name="&a;"/>',
        "<testsuite>" * (MAX_DEPTH + 1) + "</testsuite>" * (MAX_DEPTH + 1),
    ],
)
def test_what_is_no_report_is_refused(text):
    with pytest.raises(Fault) as fault:
        read(text)
    assert fault.value.kind is Kind.INVALID


@given(st.binary(max_size=200))
def test_any_bytes_give_cases_or_a_clear_refusal(data):
    for content in (data, b"<testsuite>" + data + b"</testsuite>"):
        kind = Kind.INVALID
        try:
            parse(io.BytesIO(content))
        except Fault as fault:
            kind = fault.kind
        assert kind is Kind.INVALID
