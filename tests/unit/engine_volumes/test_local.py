"""The options of the local driver, as mount(2) takes them."""

from __future__ import annotations

import pytest

from riad.engine.host import mounts
from riad.engine.volumes.local import Mounting, check_options, mounting
from riad.kernel.faults import Fault


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"type": "none", "device": "/srv", "o": "bind"}, Mounting("/srv", "", mounts.BIND, "")),
        (
            {"type": "none", "device": "/srv", "o": "rbind,ro"},
            Mounting("/srv", "", mounts.BIND | mounts.REC | mounts.RDONLY, ""),
        ),
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5,rw,nosuid"},
            Mounting("tmpfs", "tmpfs", mounts.NOSUID, "size=1m,uid=5"),
        ),
        (
            {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1,ro"},
            Mounting(":/x", "nfs", mounts.RDONLY, "addr=10.0.0.1"),
        ),
        ({"type": "btrfs", "device": "/dev/sda2"}, Mounting("/dev/sda2", "btrfs", 0, "")),
    ],
)
def test_options_become_the_arguments_of_mount(options: dict[str, str], wanted: Mounting) -> None:
    check_options(options)
    assert mounting(options) == wanted


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"colour": "red"}, 'invalid option: "colour"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "bind"}, 'missing required option: "device"'),
        ({"size": "10g"}, "no quota support"),
        ({"type": "none", "device": "relative", "o": "bind"}, "absolute path"),
    ],
)
def test_what_the_driver_does_not_have_is_named(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(Fault) as caught:
        check_options(options)
    assert sentence in caught.value.message


def test_no_options_are_a_plain_volume() -> None:
    check_options({})
