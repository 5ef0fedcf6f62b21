"""The kernel's table follows the rules we want, and is rewritten whole where it does not."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from riad.engine.networks.firewall import Firewall, forward_policy_drops
from riad.engine.networks.ruleset import PortRule
from riad.kernel.faults import Fault, Kind


class Nft:
    """Remembers what it was told; `refuse` the next so many commands."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refuse = 0
        self.listing = ""

    def __call__(self, commands: str) -> str:
        self.told.append(commands)
        if self.refuse:
            self.refuse -= 1
            raise Fault(Kind.INTERNAL, "nft refused a command: No such file or directory")
        return self.listing


def port(number: int) -> PortRule:
    return PortRule("tcp", None, number, IPv4Address("172.20.0.2"), 80)


async def test_a_change_is_told_once_and_repetition_is_silent() -> None:
    nft = Nft()
    firewall = Firewall("t", nft)
    await firewall.add([port(1)])
    await firewall.add([port(1)])
    await firewall.remove([port(1)])
    await firewall.remove([port(1)])
    assert nft.told == [
        "add element inet t published_any { tcp . 1 : 172.20.0.2 . 80 }\n",
        "delete element inet t published_any { tcp . 1 }\n",
    ]


async def test_a_table_that_somebody_flushed_is_written_anew_with_everything() -> None:
    nft = Nft()
    firewall = Firewall("t", nft)
    await firewall.add([port(1)])
    nft.refuse = 1
    await firewall.add([port(2)])
    assert nft.told[-1].startswith("table ip t\ndelete table ip t\ntable inet t\ndelete table inet t\ntable inet t {")
    assert "tcp . 1 :" in nft.told[-1]
    assert "tcp . 2 :" in nft.told[-1]


async def test_what_the_kernel_refuses_altogether_is_not_believed_to_be_there() -> None:
    nft = Nft()
    firewall = Firewall("t", nft)
    nft.refuse = 2
    with pytest.raises(Fault):
        await firewall.add([port(1)])
    await firewall.add([port(2)])
    assert "tcp . 1 " not in nft.told[-1]


def test_a_dropping_forward_policy_is_noticed() -> None:
    nft = Nft()
    nft.listing = "chain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n"
    assert forward_policy_drops(nft)
    nft.listing = nft.listing.replace("drop", "accept")
    assert not forward_policy_drops(nft)
    nft.refuse = 1
    assert not forward_policy_drops(nft)
