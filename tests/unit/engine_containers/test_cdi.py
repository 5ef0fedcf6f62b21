"""Devices as their makers describe them in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from riad.engine.host import cdi
from riad.kernel.faults import Fault

_SPEC: dict[str, Any] = {
    "cdiVersion": "0.6.0",
    "kind": "vendor.com/net",
    "containerEdits": {"env": ["VENDOR=1"], "mounts": [{"hostPath": "/lib", "containerPath": "/vendor"}]},
    "devices": [
        {"name": "zero", "containerEdits": {"deviceNodes": [{"path": "/dev/v0", "hostPath": "/dev/zero"}]}},
        {
            "name": "made",
            "containerEdits": {
                "deviceNodes": [{"path": "/dev/v1", "type": "c", "major": 10, "minor": 3, "permissions": "r"}],
                "additionalGids": [44],
                "hooks": [{"hookName": "createContainer", "path": "/bin/x", "args": ["x", "y"]}],
            },
        },
        {"name": "gone", "containerEdits": {"deviceNodes": [{"path": "/dev/nowhere"}]}},
        {"name": "odd", "containerEdits": {"hooks": [{"hookName": "sometime", "path": "/bin/x"}]}},
    ],
}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    (tmp_path / "net.json").write_text(json.dumps(_SPEC))
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "other.yaml").write_text("kind: v/c\ndevices:\n- name: a\n  containerEdits: {env: [A=b]}\n")
    return [tmp_path, tmp_path / "missing"]


def test_what_a_device_needs_comes_with_what_all_of_its_kind_need(folders: list[Path]) -> None:
    found = cdi.find(["vendor.com/net=zero", "vendor.com/net=made", "v/c=a"], folders)
    assert found.env == ("VENDOR=1", "A=b")
    assert [(node.path, node.major, node.minor, node.access) for node in found.nodes] == [
        ("/dev/v0", 1, 5, "rwm"),
        ("/dev/v1", 10, 3, "r"),
    ]
    assert found.mounts == (cdi.Binding("/lib", "/vendor", "bind", ("ro", "nosuid", "nodev", "rbind")),)
    assert found.groups == (44,)
    assert found.hooks == (("createContainer", {"path": "/bin/x", "args": ["x", "y"]}),)


def test_unknown_devices_are_named_together(folders: list[Path]) -> None:
    with pytest.raises(Fault, match=r"unresolvable CDI devices v/c=b, x/y=z"):
        cdi.find(["v/c=a", "v/c=b", "x/y=z"], folders)


@pytest.mark.parametrize(("name", "sentence"), [("gone", "/dev/nowhere is not a device"), ("odd", "hook sometime")])
def test_a_description_that_does_not_hold_here_is_told(folders: list[Path], name: str, sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        cdi.find([f"vendor.com/net={name}"], folders)
