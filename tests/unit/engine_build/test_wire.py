"""The classic build protocol: parameters in, lines out."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request

from riad.engine.build.options import BuildOptions
from riad.engine.build.progress import Built, CacheUsed, CommandStarted, StepStarted, Tagged, Warned
from riad.engine.containers.spec import Limit
from riad.engine.dockerapi.build import build_options, rendered
from riad.kernel.faults import Fault, Kind
from riad.oci.digest import digest_of
from riad.oci.reference import parse_reference


def options(**query: object) -> BuildOptions:
    return build_options(make_mocked_request("POST", "/build?" + urlencode(query, doseq=True)))


def test_what_the_cli_always_sends_is_understood() -> None:
    found = options(
        buildargs="{}", cachefrom="[]", cgroupparent="", cpuperiod=0, cpuquota=0, cpusetcpus="", cpusetmems="",
        cpushares=0, dockerfile="Dockerfile", labels="{}", memory=0, memswap=0, networkmode="default", rm=1, shmsize=0,
        t="demo/app", target="", ulimits="null", version=1,
    )  # fmt: skip
    assert found == BuildOptions(tags=(parse_reference("demo/app:latest"),), allow=frozenset({"network.host"}))


def test_options_arrive_in_the_builders_words() -> None:
    found = options(
        t=["a:1", "localhost:5/b", "a:1"], buildargs='{"A": "1", "B": null}', labels='{"l": "m"}', nocache=1,
        pull="true",
        memory=1024, extrahosts=["x:1.2.3.4", "y:5.6.7.8"], networkmode="host", target="t", platform="linux/amd64",
        ulimits='[{"Name": "nofile", "Soft": 1, "Hard": 2}]',
    )  # fmt: skip
    assert [tag.familiar for tag in found.tags] == ["a:1", "localhost:5/b:latest"]
    assert found.build_args == {"A": "1", "B": None}
    assert (found.no_cache, found.pull, found.network, found.target) == (True, True, "host", "t")
    assert found.resources.memory == 1024
    assert found.extra_hosts == ("x:1.2.3.4", "y:5.6.7.8")
    assert found.limits == (Limit("RLIMIT_NOFILE", 1, 2),)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("remote", "client-session", Kind.UNSUPPORTED),
        ("squash", "1", Kind.UNSUPPORTED),
        ("outputs", '[{"Type": "local"}]', Kind.UNSUPPORTED),
        ("session", "abc", Kind.UNSUPPORTED),
        ("version", "2", Kind.UNSUPPORTED),
        ("securityopt", '["x"]', Kind.UNSUPPORTED),
        ("cgroupparent", "/x", Kind.UNSUPPORTED),
        ("isolation", "hyperv", Kind.UNSUPPORTED),
        ("surprise", "1", Kind.UNSUPPORTED),
        ("buildargs", "{", Kind.INVALID),
        ("buildargs", '{"a": 1}', Kind.INVALID),
        ("labels", "[]", Kind.INVALID),
        ("memory", "much", Kind.INVALID),
        ("ulimits", "[1]", Kind.INVALID),
    ],
)
def test_what_is_not_supported_or_wrong_is_refused_by_name(name: str, value: str, kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        options(**{name: value})
    assert caught.value.kind is kind
    assert name in caught.value.message


def test_a_cache_image_is_warned_of() -> None:
    assert options(cachefrom=json.dumps(["x"])).warnings[0].startswith("cachefrom has no effect")


def test_lines_are_the_classic_builders() -> None:
    image = digest_of(b"image")
    events = (
        StepStarted(1, 7, "FROM scratch"), CacheUsed(), CommandStarted("abc"), Warned("careful"), Built(image),
        Tagged("x:y"),
    )  # fmt: skip
    lines = [line for event in events for line in rendered(event)]
    assert lines == [
        {"stream": "Step 1/7 : FROM scratch"},
        {"stream": "\n"},
        {"stream": " ---> Using cache\n"},
        {"stream": " ---> Running in abc\n"},
        {"stream": "[Warning] careful\n"},
        {"aux": {"ID": str(image)}},
        {"stream": f"Successfully built {image.short}\n"},
        {"stream": "Successfully tagged x:y\n"},
    ]
