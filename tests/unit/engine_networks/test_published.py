"""Which wishes for ports are granted where, and what changes when other ports are wanted."""

from __future__ import annotations

import pytest

from riad.engine.networks.model import PortBinding, PublishedPort
from riad.engine.networks.published import check_families, compare, places
from riad.kernel.faults import Fault

ANY, ANY6 = "0.0.0.0", "::"


@pytest.mark.parametrize(
    ("host_ip", "default", "has_ipv6", "expected"),
    [
        ("", ANY, True, (ANY, ANY6)),
        ("", ANY, False, (ANY,)),
        ("", "127.0.0.1", True, ("127.0.0.1",)),
        ("10.0.0.1", ANY, True, ("10.0.0.1",)),
        ("::1", ANY, True, ("::1",)),
        ("::1", ANY, False, ()),
    ],
)
def test_a_wish_is_granted_on_the_addresses_it_means(
    host_ip: str, default: str, has_ipv6: bool, expected: tuple[str, ...]
) -> None:
    assert places(PortBinding(80, host_ip=host_ip), default=default, has_ipv6=has_ipv6) == expected


def test_ipv6_alone_needs_ipv6_and_both_at_once_do_not() -> None:
    six = PortBinding(80, host_ip="::")
    check_families([six], has_ipv6=True)
    check_families([six, PortBinding(80, host_ip=ANY)], has_ipv6=False)
    with pytest.raises(Fault, match=r"cannot publish 80/tcp on \[::\]"):
        check_families([six, PortBinding(81)], has_ipv6=False)


def test_what_is_granted_stays_and_the_rest_comes_or_goes() -> None:
    wanted = (PortBinding(80, host_port=8080), PortBinding(80), PortBinding(443, host_port=8443))
    given = (
        PublishedPort(80, "tcp", ANY, 8080),
        PublishedPort(80, "tcp", ANY6, 8080),
        PublishedPort(80, "tcp", ANY, 32768),
        PublishedPort(53, "udp", ANY, 5300),
    )
    changes = compare(wanted, given)
    assert changes.missing == (wanted[2],)
    assert changes.surplus == (given[3],)


def test_a_number_of_a_range_and_an_open_port_are_what_was_wished_for() -> None:
    ranged = PortBinding(80, host_port=8000, host_port_end=8010)
    assert not compare([ranged], [PublishedPort(80, "tcp", ANY, 8005)]).missing
    assert compare([ranged], [PublishedPort(80, "tcp", ANY, 9000)]).missing
    assert not compare([PortBinding(80, host_port=8080)], [PublishedPort(80, "tcp", ANY, 0)]).missing
