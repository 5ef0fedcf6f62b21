from __future__ import annotations

import pytest

from riad.dockerfile.parse import parse
from riad.dockerfile.references import Base, bases, references
from riad.kernel.faults import Fault


def test_all_three_ways_of_naming_an_image_are_found_in_order() -> None:
    file = parse("FROM a\nCOPY --from=b x y\nRUN --mount=from=c,target=/m x\nFROM d\nONBUILD COPY --from=e x y\n")
    assert references(file, {}) == ("a", "b", "c", "d", "e")


def test_stages_and_scratch_are_no_images() -> None:
    file = parse(
        "FROM scratch AS One\nFROM one AS two\nCOPY --from=ONE a b\nCOPY --from=0 a b\nCOPY --from=scratch a b\n"
    )
    assert references(file, {}) == ()


def test_a_stage_below_or_the_stage_itself_is_an_image() -> None:
    file = parse("FROM a AS one\nCOPY --from=one x y\nCOPY --from=two x y\nCOPY --from=5 x y\nFROM b AS two\n")
    assert references(file, {}) == ("a", "one", "two", "5", "b")


def test_build_arguments_choose_the_image_where_an_arg_declares_them() -> None:
    file = parse("ARG V=1\nARG NAME=python:$V\nFROM $NAME\nFROM other:${V:-x}\nFROM x:$UNDECLARED\n")
    assert references(file, {}) == ("python:1", "other:1", "x:")
    assert references(file, {"V": "2", "UNDECLARED": "9"}) == ("python:2", "other:2", "x:")
    assert references(file, {"NAME": "evil"}) == ("evil", "other:1", "x:")
    assert references(file, {"V": None}) == ("python:1", "other:1", "x:")


def test_an_arg_inside_a_stage_does_not_change_a_from() -> None:
    assert references(parse("FROM a\nARG B=c\nFROM b$B\n"), {"B": "x"}) == ("a", "b")


def test_platform_arguments_are_known() -> None:
    file = parse("FROM --platform=$BUILDPLATFORM a-$TARGETARCH\n")
    assert bases(file, {}, platform="linux/arm64/v8") == (Base(image="a-arm64", platform="linux/arm64/v8"),)


def test_an_empty_name_is_refused_with_its_line() -> None:
    with pytest.raises(Fault) as caught:
        references(parse("ARG X\n\nFROM $X\n"), {})
    assert caught.value.message.startswith("dockerfile parse error on line 3: base name ($X) should not be blank")


def test_a_wrong_variable_in_from_is_refused_with_its_line() -> None:
    with pytest.raises(Fault) as caught:
        references(parse("FROM a\nFROM ${X\n"), {})
    assert "line 2" in caught.value.message
