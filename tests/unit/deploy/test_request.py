import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.deploy.deploying import without_tag
from riad.deploy.request import parse
from riad.kernel.faults import Fault


def test_a_request_says_what_to_release_where_and_how() -> None:
    found = parse(
        "port=5000\nhealth=/health\nenv=A=1\nenv=B=x=y\nname=shop\ntimeout=30\n"
        "image=localhost:8080/demo/shop:abc\nenvironment=staging\nurl=https://shop.example\nafter=3\n"
    )
    assert (found.image, found.environment, found.service, found.url, found.after) == (
        "localhost:8080/demo/shop:abc", "staging", "shop", "https://shop.example", 3,
    )  # fmt: skip
    assert (found.settings.port, found.settings.health_path, found.settings.deadline) == (5000, "/health", 30)
    assert found.settings.environ == {"A": "1", "B": "x=y"}


def test_what_is_not_said_has_a_default() -> None:
    found = parse("image=a:1\n")
    assert (found.environment, found.settings.port, found.settings.health_path) == ("production", None, None)
    assert (found.settings.deadline, found.after) == (60, 0)


def test_newlines_and_backslashes_travel_in_a_value() -> None:
    assert parse("image=a\nenv=KEY=one\\ntwo\\\\n\n").settings.environ == {"KEY": "one\ntwo\\n"}


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_nothing_but_a_newline_ends_a_value(end: str) -> None:
    found = parse(f"image=mine\nenv=TITLE=a{end}image=theirs\n")
    assert (found.image, found.settings.environ) == ("mine", {"TITLE": f"a{end}image=theirs"})


def test_a_setting_that_is_given_twice_is_refused() -> None:
    with pytest.raises(Fault, match="--image: is given twice"):
        parse("image=mine\nimage=theirs\n")


def test_every_finding_is_told_at_once_by_the_name_of_its_option() -> None:
    with pytest.raises(Fault) as caught:
        parse("port=99999\nhealth=health\nenv=1A=x\nname=Shop\ntimeout=0\nimage=a b\nreplicas=3\nurl=ftp://x\n")
    message = caught.value.message
    for part in ("--port", "--health", "--env", "service name", "--timeout", "--image", "replicas", "--url"):
        assert part in message


def test_without_an_image_there_is_nothing_to_release() -> None:
    with pytest.raises(Fault, match="--image: is missing"):
        parse("port=1\n")


@pytest.mark.parametrize("name", ["a", "a:1", "a@sha256:00", "a:1@sha256:00"])
def test_a_tag_or_digest_is_taken_off_and_a_port_is_not(name: str) -> None:
    assert without_tag(name) == "a"
    assert without_tag(f"localhost:8080/x/{name}") == "localhost:8080/x/a"


@given(st.text())
def test_anything_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Fault):
        assert parse(text).image
