import pytest

from riad.pipelines import push_options


def test_variables_keep_equals_signs_and_lose_quotes() -> None:
    given = ["ci.variable=A=b=c", 'ci.variable="B=two words"', "ci.skip"]
    assert push_options.variables(given) == {"A": "b=c", "B": "two words"}
    assert push_options.skips(given)
    assert push_options.objection(given) == ""


@pytest.mark.parametrize("option", ["merge_request.create", "ci.variable=A", "ci.variable=1A=b", "ci.skipped", ""])
def test_what_is_not_understood_is_named(option: str) -> None:
    assert repr(option) in push_options.objection([option])
