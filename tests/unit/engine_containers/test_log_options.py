from __future__ import annotations

import pytest

from riad.engine.containers.logs import attributes, options
from riad.engine.containers.logs.attributes import Subject
from riad.kernel.faults import Fault

_SUBJECT = Subject(
    id="0123456789abcdef" * 4,
    name="web",
    image="base:1",
    image_id="sha256:" + "ab" * 32,
    command=("sh", "-c", "true"),
    labels={"team": "blue", "tier": "1"},
    env=("A=1", "SECRET=x", "B=two words"),
)


@pytest.mark.parametrize(
    ("driver", "given", "expected"),
    [
        ("json-file", {}, options.Bounds(20_000_000, 5, compress=False)),
        ("local", {}, options.Bounds(20_000_000, 5, compress=True)),
        ("local", {"max-file": "1"}, options.Bounds(20_000_000, 1, compress=False)),
        ("json-file", {"max-size": "10k", "max-file": "3"}, options.Bounds(10_000, 3, compress=False)),
        ("json-file", {"max-size": "1.5 MB", "compress": "true"}, options.Bounds(1_500_000, 5, compress=True)),
        ("json-file", {"max-size": "-1"}, options.Bounds(None, 5, compress=False)),
    ],
)
def test_bounds(driver: str, given: dict[str, str], expected: options.Bounds) -> None:
    options.check(driver, given)
    assert options.bounds(driver, given) == expected


@pytest.mark.parametrize(
    ("driver", "given", "sentence"),
    [
        ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"x": "1"}, "unknown log opt 'x' for log driver local"),
        ("splunk", {}, "logger: no log driver named 'splunk' is registered"),
        ("json-file", {"max-size": "lots"}, "max-size: invalid size: 'lots'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"compress": "true", "max-file": "1"}, "compress cannot be true when max-file is less than 2"),
        ("json-file", {"compress": "perhaps"}, 'strconv.ParseBool: parsing "perhaps": invalid syntax'),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        ("json-file", {"max-buffer-size": "1m"}, "max-buffer-size option is only supported with 'mode=non-blocking'"),
        ("json-file", {"labels-regex": "("}, "labels-regex: '(' is not a regular expression"),
        ("json-file", {"tag": "{{.Hostname}}"}, "tag: {{.Hostname}} is not supported"),
    ],
)
def test_what_is_no_option_is_refused_by_name(driver: str, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        options.check(driver, given)
    assert sentence in caught.value.message


def test_details_are_sorted_and_escaped() -> None:
    given = {"labels": "team,missing", "env-regex": "^[AB]$", "tag": "{{.Name}}/{{ .ID }}"}
    assert attributes.details(given, _SUBJECT) == b"A=1,B=two+words,tag=web%2F0123456789ab,team=blue"
    assert attributes.details({}, _SUBJECT) == b""


def test_tags_are_filled_in() -> None:
    text = "{{.ImageName}} {{.ImageID}} {{.FullID}} {{.Command}}"
    assert attributes.tag({"tag": text}, _SUBJECT) == f"base:1 abababababab {_SUBJECT.id} sh -c true"
    assert attributes.tag({}, _SUBJECT, default=attributes.DEFAULT_TAG) == "0123456789ab"
