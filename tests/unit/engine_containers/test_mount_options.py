"""`-v` and `--mount`: options of mounts, read and refused in Docker's words."""

from __future__ import annotations

from typing import Any

import pytest

from riad.engine.containers.model import MountPoint
from riad.engine.containers.mounting import parse_bind
from riad.engine.containers.sources import check_recursion, rights
from riad.engine.dockerapi.create_body.mounts import read_mounts
from riad.engine.dockerapi.create_body.settings import read_settings
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    "text", ["v1:/a:ro,rw", "v1:/a:z,Z", "v1:/a:shared", "/a:/b:nocopy", "/a:/b:shared,slave", "/a:/b:odd", "v1:/a:/b"]
)
def test_modes_that_exclude_each_other_are_refused(text: str) -> None:
    with pytest.raises(Fault, match=f"^invalid mode: {text.rpartition(':')[2]}$"):
        parse_bind(text)


def test_modes_of_different_kinds_go_together() -> None:
    wish = parse_bind("/a:/b:ro,z,rslave,cached")
    assert (wish.read_only, wish.propagation) == (True, "rslave")
    assert parse_bind("v1:/b:ro,nocopy,Z").no_copy


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("v1:/", "invalid volume specification: 'v1:/': invalid mount config for type \"volume\": "
                 "invalid specification: destination can't be '/'"),
        ("/a:b", "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
                 "invalid mount path: 'b' mount path must be absolute"),
        ("", "invalid volume specification: ''"),
    ],
)  # fmt: skip
def test_targets_are_absolute_and_below_the_root(text: str, sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_bind(text)
    assert caught.value.message == sentence


def _read(**mount: Any) -> Any:
    return read_mounts({"Mounts": [{"Target": "/m", **mount}]})["mounts"][0]


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ({"Type": "bind"}, "field Source must not be empty"),
        ({"Type": "bind", "Source": "/a", "VolumeOptions": {}}, "field VolumeOptions must not be specified"),
        ({"Type": "volume", "BindOptions": {}}, "field BindOptions must not be specified"),
        ({"Type": "tmpfs", "Source": "/a"}, "field Source must not be specified"),
        ({"Type": "tmpfs", "TmpfsOptions": {"Options": [["size", "1"]]}}, "invalid option"),
        ({"Type": "cluster", "Source": "a"}, "mount type unknown"),
        ({"Type": "volume", "Source": "v1", "VolumeOptions": {"Subpath": "/a"}}, "must be a relative path"),
        ({"Type": "volume", "Source": "v1", "VolumeOptions": {"Subpath": "a/../../b"}}, "must be a relative path"),
        (
            {"Type": "bind", "Source": "/a", "BindOptions": {"ReadOnlyNonRecursive": True}},
            "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive",
        ),
        (
            {
                "Type": "bind",
                "Source": "/a",
                "ReadOnly": True,
                "BindOptions": {"ReadOnlyNonRecursive": True, "ReadOnlyForceRecursive": True},
            },
            "mount options conflict: BindOptions.ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
        ),
    ],
)
def test_mounts_that_make_no_sense_are_refused(mount: dict[str, Any], problem: str) -> None:
    with pytest.raises(Fault) as caught:
        _read(**mount)
    assert problem in caught.value.message


def test_how_deep_a_bind_goes_is_read() -> None:
    bind = {"Type": "bind", "Source": "/a", "ReadOnly": True}
    assert _read(**bind).recursion == ""
    assert _read(**bind, BindOptions={"NonRecursive": True}).recursion == "none"
    assert _read(**bind, BindOptions={"ReadOnlyForceRecursive": True}).recursion == "readonly"


def test_older_clients_get_what_read_only_meant_then() -> None:
    body = {
        "Image": "i",
        "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/m", "ReadOnly": True}]},
    }
    assert read_settings(body, (1, 43)).host.mounts[0].recursion == "writable"
    assert read_settings(body, (1, 44)).host.mounts[0].recursion == ""


@pytest.mark.parametrize(
    ("recursion", "read_only", "kernel", "options"),
    [
        ("", True, (6, 1), ("rbind", "ro", "rro")),
        ("", True, (5, 10), ("rbind", "ro")),
        ("writable", True, (6, 1), ("rbind", "ro")),
        ("none", True, (6, 1), ("bind", "ro")),
        ("", False, (6, 1), ("rbind", "rw")),
    ],
)
def test_read_only_goes_as_deep_as_the_kernel_can(
    recursion: str, read_only: bool, kernel: tuple[int, int], options: tuple[str, ...]
) -> None:
    mount = MountPoint("bind", "/t", "/s", read_only=read_only, recursion=recursion)
    assert rights(mount, kernel) == options


def test_where_it_must_go_deep_and_cannot_is_refused() -> None:
    mount = MountPoint("bind", "/t", "/s", read_only=True, recursion="readonly")
    check_recursion(mount, (5, 12))
    with pytest.raises(Fault, match="cannot be made recursively read-only"):
        check_recursion(mount, (5, 11))
