from __future__ import annotations

from pathlib import Path

import pytest

from riad.cli import home
from riad.kernel.faults import Fault


def test_the_default_home_is_the_systems() -> None:
    here = home.of({})
    assert (here.root, here.run, here.external_url) == (
        Path("/var/lib/riad"),
        Path("/run/riad"),
        "http://localhost:8080",
    )


def test_another_home_keeps_its_sockets_to_itself() -> None:
    assert home.of({"RIAD_HOME": "/srv/r"}).run == Path("/srv/r/run")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8080 ", "٣"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(Fault, match="RIAD_PORT"):
        home.of({"RIAD_PORT": port})


def test_a_folder_too_deep_for_sockets_is_refused_with_the_way_out() -> None:
    with pytest.raises(Fault, match="set RIAD_RUN to a shorter folder"):
        home.of({"RIAD_HOME": "/" + "deep/" * 25})


@pytest.mark.parametrize("domain", ["a..b", "a b", "-.x y", "exämple"])
def test_a_domain_that_is_no_host_name_is_refused(domain: str) -> None:
    with pytest.raises(Fault, match="RIAD_DOMAIN"):
        home.of({"RIAD_DOMAIN": domain})
