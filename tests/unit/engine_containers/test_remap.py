"""Reading who is who: subordinate ids, and labels that map the owners of one mount."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.containers.model import HostSettings
from riad.engine.containers.remap import Remap, check, find, parse_map, within
from riad.engine.host.idmap import IdMap, Range, inside, outside
from riad.kernel.faults import Fault, Kind

_KERNEL = (6, 1)


def _etc(folder: Path, text: str) -> Path:
    (folder / "subuid").write_text(text)
    (folder / "subgid").write_text(text)
    return folder


def test_the_ranges_of_a_user_follow_each_other(tmp_path: Path) -> None:
    etc = _etc(tmp_path, "other:1:5\ndockremap:300000:100\n# x\ndockremap:200000:50\nbroken\n")
    found = find("default", folder=tmp_path, kernel=_KERNEL, etc=etc)
    assert found is not None
    assert found.mapping.uids == (Range(0, 200000, 50), Range(50, 300000, 100))
    assert found.mapping.root == (200000, 200000)
    assert find("", folder=tmp_path, kernel=_KERNEL) is None


def test_a_range_needs_no_files(tmp_path: Path) -> None:
    found = find("500000+1000", folder=tmp_path, kernel=_KERNEL)
    assert found is not None
    assert found.mapping == IdMap((Range(0, 500000, 1000),), (Range(0, 500000, 1000),))
    again = find("500000+1000", folder=tmp_path, kernel=_KERNEL)
    assert again is not None
    assert again.namespace == found.namespace


@pytest.mark.parametrize(
    ("wanted", "kernel", "kind"),
    [
        ("nobody-has-this", _KERNEL, Kind.INVALID),
        ("0+5", _KERNEL, Kind.INVALID),
        ("x+5", _KERNEL, Kind.INVALID),
        ("default", (5, 10), Kind.UNSUPPORTED),
    ],
)
def test_what_cannot_be_remapped_is_refused(tmp_path: Path, wanted: str, kernel: tuple[int, int], kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        find(wanted, folder=tmp_path, kernel=kernel, etc=_etc(tmp_path, "a:1:2\n"))
    assert caught.value.kind is kind


def test_privileges_need_the_hosts_namespace() -> None:
    check(HostSettings())
    for host in (HostSettings(privileged=True), HostSettings(network_mode="host"), HostSettings(pid_mode="host")):
        with pytest.raises(Fault):
            check(host)


@pytest.mark.parametrize(
    ("text", "uids", "gids"),
    [
        ("1000:0", (Range(1000, 0, 1),), (Range(1000, 0, 1),)),
        ("0:100:10,50:0", (Range(0, 100, 10), Range(50, 0, 1)), (Range(0, 100, 10), Range(50, 0, 1))),
        ("u1000:0,g20:5", (Range(1000, 0, 1),), (Range(20, 5, 1),)),
    ],
)
def test_maps_of_mounts_are_read(text: str, uids: tuple[Range, ...], gids: tuple[Range, ...]) -> None:
    assert parse_map(text) == IdMap(uids, gids)


@pytest.mark.parametrize("bad", ["", "1", "a:b", "1:2:0", "1:2,1:3", "1:2,5:2", "u1:2", "-1:2", "1:2:3:4", "9" * 12])
def test_maps_that_make_no_sense_are_refused(bad: str) -> None:
    with pytest.raises(Fault):
        parse_map(bad)


def test_in_a_remapped_container_a_map_ends_at_the_containers_own_ids() -> None:
    remap = Remap(IdMap((Range(0, 100000, 10),), (Range(0, 200000, 10),)), Path("/x"))
    assert within(parse_map("1000:0:2"), remap) == IdMap((Range(1000, 100000, 2),), (Range(1000, 200000, 2),))
    with pytest.raises(Fault, match="does not have"):
        within(parse_map("1000:9:2"), remap)


@given(st.integers(0, 99))
def test_ids_go_out_and_come_back(number: int) -> None:
    ranges = (Range(0, 1000, 50), Range(50, 5000, 50))
    assert inside(ranges, outside(ranges, number)) == number
    assert inside(ranges, 3) == 65534
