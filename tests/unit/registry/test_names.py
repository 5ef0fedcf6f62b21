import pytest

from riad.registry.faults import KINDS, Reason, Refusal
from riad.registry.names import RepositoryName


def test_a_name_lies_under_its_longest_project_path() -> None:
    assert list(RepositoryName.parse("a/b/c").project_paths()) == ["a/b/c", "a/b"]


def test_one_part_alone_is_under_no_project() -> None:
    assert list(RepositoryName.parse("alpine").project_paths()) == []


@pytest.mark.parametrize("text", ["", "A/b", "a//b", "/a/b", "a/b/", "a/../b", "a b/c", "a/-b", "a/b\n", "x" * 300])
def test_names_out_of_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        RepositoryName.parse(text)
    assert refused.value.reason is Reason.NAME_INVALID


def test_every_reason_has_a_kind() -> None:
    assert set(KINDS) == set(Reason)
