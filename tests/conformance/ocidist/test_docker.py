"""The docker CLI, driving Riad's own engine, against the registry: login, push, pull, and what people are told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from fakes.registry_house import PASSWORD
from riad.registry import listings
from riad.registry.store import repository

from .conftest import Served

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def module_engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as engine:
        yield engine


@pytest.fixture
def docker(module_engine: RunningEngine, registry: Served) -> Iterator[RunningEngine]:
    """Logged out, before and after."""
    yield module_engine
    module_engine.docker("logout", registry.host)
    kept = module_engine.out("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    for name in kept:
        if name.startswith("localhost:"):
            module_engine.docker("rmi", "-f", name)


def login(docker: RunningEngine, host: str, user: str = "dana", password: str = PASSWORD, *, check: bool = True) -> str:
    said = docker.docker("login", "-u", user, "--password-stdin", host, stdin=password, check=check)
    return said.out + said.err


def test_an_image_is_pushed_and_comes_back_the_same(docker: RunningEngine, registry: Served) -> None:
    assert "Login Succeeded" in login(docker, registry.host)
    name = f"{registry.host}/demo/app:v1"
    docker.docker("tag", BASE, name)
    pushed = docker.out("push", name)
    assert "v1: digest: sha256:" in pushed
    before = docker.out("image", "inspect", "--format", "{{.Id}}", name)
    docker.docker("rmi", name, BASE)
    docker.docker("pull", name)
    assert docker.out("image", "inspect", "--format", "{{.Id}}", name) == before
    docker.docker("tag", name, BASE)
    with registry.house.database.read() as session:
        digest = listings.find(session, "demo/app", "v1").digest
    assert digest in pushed


def test_a_second_push_sends_nothing_again(docker: RunningEngine, registry: Served) -> None:
    login(docker, registry.host)
    for name in (f"{registry.host}/demo/app:v1", f"{registry.host}/demo/app/worker:v1"):
        docker.docker("tag", BASE, name)
        docker.docker("push", name)
    again = docker.out("push", f"{registry.host}/demo/app:v1")
    assert "Layer already exists" in again
    with registry.house.database.read() as session:
        assert repository(session, "demo/app/worker") is not None


def test_an_image_is_pulled_by_its_digest(docker: RunningEngine, registry: Served) -> None:
    login(docker, registry.host)
    name = f"{registry.host}/demo/app:v1"
    docker.docker("tag", BASE, name)
    docker.docker("push", name)
    with registry.house.database.read() as session:
        digest = listings.find(session, "demo/app", "v1").digest
    assert f"Digest: {digest}" in docker.out("pull", f"{registry.host}/demo/app@{digest}")


def test_a_wrong_password_is_refused_at_login(docker: RunningEngine, registry: Served) -> None:
    assert "not valid" in login(docker, registry.host, password="wrong", check=False)


@pytest.mark.parametrize(
    ("user", "name", "told"),
    [
        ("sam", "demo/app", "no project demo/app that sam can see"),
        ("sam", "demo/open", "developer role"),
        ("root", "demo/none", "create it first"),
    ],
)
def test_a_push_that_is_refused_says_why(
    docker: RunningEngine, registry: Served, user: str, name: str, told: str
) -> None:
    login(docker, registry.host, user)
    docker.docker("tag", BASE, f"{registry.host}/{name}:v1")
    said = docker.docker("push", f"{registry.host}/{name}:v1", check=False)
    assert said.code != 0
    assert told in said.err


def test_a_public_image_is_pulled_without_a_login(docker: RunningEngine, registry: Served) -> None:
    login(docker, registry.host, "root")
    name = f"{registry.host}/demo/open:v1"
    docker.docker("tag", BASE, name)
    docker.docker("push", name)
    docker.docker("logout", registry.host)
    docker.docker("pull", name)
