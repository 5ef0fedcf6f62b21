from __future__ import annotations

import json

import pytest

from riad.kernel.faults import Fault
from riad.oci.config import ContainerConfig, Healthcheck, History, ImageConfig, parse_image_config
from riad.oci.digest import digest_of
from riad.oci.platform import Platform


def full() -> ImageConfig:
    return ImageConfig(
        config=ContainerConfig(
            user="app",
            exposed_ports=frozenset({"80/tcp"}),
            env=("PATH=/bin",),
            entrypoint=("/e",),
            cmd=(),
            volumes=frozenset({"/data"}),
            working_dir="/w",
            labels={"a": "b"},
            stop_signal="SIGINT",
            stop_timeout=0,
            healthcheck=Healthcheck(("CMD", "true"), interval=5, retries=2),
            on_build=("RUN x",),
            shell=("/bin/bash", "-c"),
        ),
        diff_ids=(digest_of(b"1"),),
        history=(History("2026-01-02T03:04:05Z", "RUN x"), History(created_by="ENV", empty_layer=True)),
        created="2026-01-02T03:04:05Z",
        author="ada",
        platform=Platform("linux", "arm64", "v8"),
    )


def test_a_configuration_comes_back_from_its_bytes() -> None:
    assert parse_image_config(full().encode()) == full()


def test_encoding_is_the_same_every_time() -> None:
    assert full().encode() == full().encode()


def test_nothing_and_not_set_are_different_commands() -> None:
    unset = json.loads(ImageConfig(config=ContainerConfig()).encode())["config"]
    assert (unset["Cmd"], unset["Entrypoint"], unset["Env"]) == (None, None, None)
    empty = json.loads(ImageConfig(config=ContainerConfig(cmd=(), entrypoint=())).encode())["config"]
    assert (empty["Cmd"], empty["Entrypoint"]) == ([], [])


def test_what_an_image_does_not_say_is_the_hosts_platform() -> None:
    found = parse_image_config(b'{"rootfs": {"type": "layers", "diff_ids": null}, "config": null}')
    assert found.platform.os == "linux"
    assert found.config == ContainerConfig()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "rootfs is missing"),
        ({"rootfs": {"diff_ids": [1]}}, "rootfs/diff_ids: expected a list of texts"),
        ({"rootfs": {"type": "x"}, "config": {"Env": "A=b"}}, "config/Env: expected a list"),
        ({"rootfs": {"type": "x"}, "config": {"Labels": {"a": 1}}}, "config/Labels: expected a map of texts"),
        ({"rootfs": {"type": "x"}, "history": [1]}, "history/0/: expected an object"),
    ],
)
def test_a_broken_configuration_is_refused_by_the_path_of_what_is_wrong(body: object, path: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_image_config(json.dumps(body).encode())
    assert path in caught.value.message
