"""No container is without a limit where its socket has one, and none has more than the socket allows."""

from __future__ import annotations

from typing import Any

import pytest

from riad.cli.engine.socket import size
from riad.dockerclient.scoped.create_spec import check
from riad.dockerclient.scoped.quota import Quota
from riad.dockerclient.scoped.scope import Scope
from riad.kernel.faults import Fault, Kind

SMALL = Quota(containers=2, memory=64 * 1024**2, nano_cpus=10**9, pids=50)
SHOP = Scope("localhost:8080", "demo/shop", None, SMALL)


def test_a_container_that_asks_for_nothing_gets_the_most() -> None:
    passed, _ = check({"Image": "a"}, SHOP)
    wanted = {"Memory": 64 * 1024**2, "MemorySwap": 64 * 1024**2, "NanoCpus": 10**9, "PidsLimit": 50}
    assert passed["HostConfig"] == wanted
    assert passed["Labels"] == {"riad.project": "demo/shop", "riad.scoped": "demo/shop"}


def test_less_than_the_most_is_kept() -> None:
    host = {"Memory": 32 * 1024**2, "NanoCpus": 5, "PidsLimit": 7}
    assert check({"Image": "a", "HostConfig": host}, SHOP)[0]["HostConfig"] == {**host, "MemorySwap": 32 * 1024**2}


@pytest.mark.parametrize("unlimited", [0, -1, None])
def test_no_limit_is_the_most(unlimited: int | None) -> None:
    assert SMALL.of_container({"PidsLimit": unlimited, "Memory": unlimited})["PidsLimit"] == 50


@pytest.mark.parametrize(
    "host",
    [
        {"Memory": 65 * 1024**2}, {"MemorySwap": -1}, {"MemorySwap": 10**12}, {"NanoCpus": 10**9 + 1},
        {"CpuQuota": 200_000}, {"CpuPeriod": 1000}, {"PidsLimit": 51},
    ],
)  # fmt: skip
def test_more_than_the_most_is_refused(host: dict[str, Any]) -> None:
    with pytest.raises(Fault) as caught:
        SMALL.of_container(host)
    assert caught.value.kind is Kind.DENIED


@pytest.mark.parametrize("value", ["1", 1.5, True, [], {"a": 1}])
def test_a_limit_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(Fault) as caught:
        SMALL.of_container({"Memory": value})
    assert caught.value.kind is Kind.INVALID


def test_builds_have_the_same_limits() -> None:
    limits = {"memory": str(64 * 1024**2), "memswap": str(64 * 1024**2), "cpuperiod": "100000", "cpuquota": "100000"}
    assert SMALL.of_build({}) == limits
    with pytest.raises(Fault):
        SMALL.of_build({"memory": str(10**12)})


def test_one_container_too_many_is_refused_and_without_a_quota_none_is() -> None:
    SMALL.check_number(1)
    with pytest.raises(Fault, match="2 containers"):
        SMALL.check_number(2)
    Quota().check_number(10**6)
    assert Quota().of_container({"Memory": -5}) == {"Memory": -5}


@pytest.mark.parametrize(("text", "wanted"), [("0", 0), ("512m", 512 * 1024**2), ("1G", 1024**3), ("7", 7)])
def test_sizes_are_read_as_docker_writes_them(text: str, wanted: int) -> None:
    assert size(text) == wanted


@pytest.mark.parametrize("text", ["", "m", "-1", "1.5g", "1t", "1 g"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(Fault, match="512m"):
        size(text)
