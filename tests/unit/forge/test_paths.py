import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.forge import paths, projects
from riad.identity import names
from riad.kernel.faults import Fault


def test_a_path_is_a_group_and_a_name() -> None:
    assert paths.parse("/demo/flask-hello") == "demo/flask-hello"


@pytest.mark.parametrize("text", ["", "demo", "demo/", "/demo", "a/b/c", "demo/x.git", "../etc", "a/.."])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        paths.parse(text)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My App", "my-app"),
        ("x.git", "x"),
        ("--A  b--", "a-b"),
        ("Ünïcode!", "n-code"),
        ("!!!", ""),
    ],
)
def test_a_slug_is_made_of_a_name(name: str, slug: str) -> None:
    assert paths.slug(name) == slug


@given(st.text(max_size=60))
def test_a_slug_is_empty_or_a_good_path(name: str) -> None:
    slug = paths.slug(name)
    if slug:
        names.part(slug, what="path")


@pytest.mark.parametrize("name", ["main", "feature/a", "v1.0", "a-b_c", "ü"])
def test_branch_names_that_git_takes(name: str) -> None:
    assert projects.check_branch(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a..b", "a b", "a~1", "a/", "/a", "a.lock", "a/.b", "@", "a@{1}", "a\0b"])
def test_branch_names_that_git_refuses(name: str) -> None:
    with pytest.raises(Fault, match="is not a branch name"):
        projects.check_branch(name)
