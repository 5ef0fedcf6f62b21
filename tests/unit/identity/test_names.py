import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.identity import names
from riad.kernel.faults import Fault


@pytest.mark.parametrize("text", ["demo", "a", "flask-hello", "A.b_c-1", "x" * 255, "1"])
def test_good_paths_pass_unchanged(text: str) -> None:
    assert names.part(text, what="path") == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("-x", "may not start with '-' or '.'"),
        (".x", "may not start"),
        ("x.git", "may not end with"),
        ("x.", "may not end with"),
        ("a..b", "may not hold"),
        ("a b", "may only hold letters"),
        ("a/b", "may only hold letters"),
        ("é", "may only hold letters"),
        ("x" * 256, "longer than 255"),
    ],
)
def test_bad_paths_are_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(Fault, match=said):
        names.part(text, what="path")


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(Fault) as caught:
        names.part("-a b.git", what="path")
    assert len(caught.value.findings) == 3


@pytest.mark.parametrize("text", ["api", "API", "v2", "users", "jwt"])
def test_riads_own_addresses_are_taken(text: str) -> None:
    with pytest.raises(Fault, match="address of Riad itself"):
        names.namespace(text, what="path")


@given(st.text())
def test_what_passes_is_safe_in_addresses_and_on_disk(text: str) -> None:
    try:
        part = names.part(text, what="path")
    except Fault:
        return
    assert part == text
    assert part.isascii()
    assert not set(part) & set("/\\%?#: \0\n")
    assert part not in {".", ".."}


@pytest.mark.parametrize("text", ["", "a", "@b", "a@", "a b@c", "<a@b>"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Fault, match="not an e-mail address"):
        names.email(text)
