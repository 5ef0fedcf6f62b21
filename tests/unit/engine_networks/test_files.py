"""The text of /etc/hosts and /etc/resolv.conf."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from riad.engine.networks.files import hosts, read_resolv_conf, resolv_conf
from riad.kernel.faults import Fault


def test_a_resolv_conf_is_read_with_comments_and_oddities() -> None:
    found = read_resolv_conf(
        "# made by\nnameserver 127.0.0.53\nnameserver 10.0.0.1 ; old\nnameserver bad\nnameserver ::1\n"
        "domain a.example\nsearch b.example c.example\noptions ndots:1 edns0\nsortlist x\n\nnameserver\n"
    )
    assert found.servers == ("127.0.0.53", "10.0.0.1", "::1")
    assert found.reachable(ipv6=False) == ("10.0.0.1",)
    assert read_resolv_conf("nameserver fd00::1\nnameserver fe80::1%eth0\n").reachable(ipv6=True) == ("fd00::1",)
    assert found.search == ("b.example", "c.example")
    assert found.options == ("ndots:1", "edns0")


def test_a_resolv_conf_is_written_with_what_there_is() -> None:
    assert resolv_conf(["10.0.0.1"], [], []) == "nameserver 10.0.0.1\n"
    assert resolv_conf(["a"], ["x.y", "z"], ["ndots:0"]) == "nameserver a\nsearch x.y z\noptions ndots:0\n"


def test_the_hosts_file_names_the_container_and_what_was_added() -> None:
    text = hosts(
        hostname="web",
        domain="example.org",
        addresses=[IPv4Address("172.20.0.2")],
        extra=["db:10.0.0.9", "host=host-gateway", "six:[fd00::1]"],
        host_gateway="172.20.0.1",
    )
    assert text.startswith("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    assert text.endswith("10.0.0.9\tdb\n172.20.0.1\thost\nfd00::1\tsix\n172.20.0.2\tweb.example.org web\n")


@pytest.mark.parametrize("entry", ["name", "name:", ":1.2.3.4", "name:nowhere"])
def test_a_host_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(Fault, match="add-host"):
        hosts(hostname="a", domain="", addresses=[], extra=[entry], host_gateway=None)


def test_host_gateway_needs_a_bridge() -> None:
    with pytest.raises(Fault, match="host-gateway needs a bridge network"):
        hosts(hostname="a", domain="", addresses=[], extra=["h:host-gateway"], host_gateway=None)
