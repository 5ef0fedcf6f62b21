from pathlib import Path

import pytest

from riad.deploy.container import service_url
from riad.deploy.edge.config import EdgeSettings, edge_files, haproxy_config
from riad.deploy.edge.haproxy import parse_servers
from riad.deploy.edge.port import Route, Upstream
from riad.kernel.faults import Fault

SETTINGS = EdgeSettings(
    folder=Path("/var/lib/riad/edge"),
    admin_socket=Path("/run/riad/edge.sock"),
    binds=("*:8080",),
    riad="unix@/run/riad/server.sock",
    riad_url="http://localhost:8080",
)


def test_every_slot_has_its_backend_and_a_live_release_its_server() -> None:
    text = haproxy_config(SETTINGS, {3: Upstream("r7", "172.20.0.5", 5000), 4: None})
    assert text.count("\nbackend service-") == 128
    assert "backend service-003 from services\n    server r7 172.20.0.5:5000\n" in text
    assert "backend service-004 from services\nbackend service-005" in text


def test_only_the_administrator_may_speak_to_the_admin_socket() -> None:
    assert "stats socket /run/riad/edge.sock mode 600 level admin" in haproxy_config(SETTINGS, {})


def test_the_map_names_each_routes_backend() -> None:
    files = edge_files(SETTINGS, {Route("blog.localhost", 2): None, Route("shop.localhost", 1): None})
    assert files["hosts.map"] == "shop.localhost service-001\nblog.localhost service-002\n"


def test_an_ipv6_upstream_is_bracketed() -> None:
    assert "server r1 [fd00::5]:80\n" in haproxy_config(SETTINGS, {1: Upstream("r1", "fd00::5", 80)})


@pytest.mark.parametrize("folder", ["/var/my riad", "/x\nbackend y", "/a#b", '/a"b'])
def test_a_path_that_would_change_the_configuration_is_refused(folder: str) -> None:
    settings = EdgeSettings(Path(folder), Path("/run/s"), ("*:1",), "unix@/x", "http://localhost")
    with pytest.raises(Fault, match="cannot be written into HAProxy's configuration"):
        haproxy_config(settings, {})


def test_a_page_for_people_is_no_format_of_haproxys() -> None:
    page = edge_files(SETTINGS, {})["no-such-service.html"]
    assert page.count("%[var(txn.shown)]") == 1
    assert "%" not in page.replace("%[var(txn.shown)]", "").replace("%%", "")


def test_servers_are_read_by_the_names_of_their_columns() -> None:
    text = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"
        "3 service-001 1 r1 127.0.0.1 2 8 1 5000\n3 service-001 2 r2 ::1 2 0 1 5001\n"
    )
    first, second = parse_servers(text)
    assert (first.name, first.port, first.serving) == ("r1", 5000, False)
    assert (second.name, second.host, second.serving) == ("r2", "::1", True)


@pytest.mark.parametrize(
    ("riad", "service"),
    [("http://localhost:8080", "http://shop.localhost:8080"), ("https://riad.example", "https://shop.localhost"),
     ("http://[::1]:8080/", "http://shop.localhost:8080")],
)  # fmt: skip
def test_a_service_answers_on_riads_port(riad: str, service: str) -> None:
    assert service_url(riad, "localhost", "shop") == service
