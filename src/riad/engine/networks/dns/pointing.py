"""127.0.0.11 in containers: where Docker's resolver is, and what many configurations name (`resolver 127.0.0.11`).

Ours is at the network's gateway, which /etc/resolv.conf names. Rules inside the container's namespace lead 127.0.0.11
there, too. Its own 127/8 stays out of reach for its neighbours, although route_localnet is on for the answers.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from riad.engine.host import netns
from riad.engine.host.nftables import Nftables

INSIDE = IPv4Address("127.0.0.11")
_TABLE = "riad_names"
_SETTING = Path("/proc/sys/net/ipv4/conf/all/route_localnet")


def rules(server: IPv4Address) -> str:
    """Replaces the table inside a namespace. Pure."""
    return f"""\
{gone()}table ip {_TABLE} {{
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		ip daddr 127.0.0.0/8 iifname != "lo" drop
	}}
	chain asking {{
		type nat hook output priority -100; policy accept;
		ip daddr {INSIDE} meta l4proto {{ tcp, udp }} th dport 53 dnat to {server}
	}}
	chain outgoing {{
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr {server} ip saddr 127.0.0.0/8 oifname != "lo" masquerade
	}}
}}
"""


def gone() -> str:
    return f"table ip {_TABLE}\ndelete table ip {_TABLE}\n"


def point(namespace: Path, server: IPv4Address | None) -> None:
    """Leads 127.0.0.11 of a container to `server`, or nowhere. Blocking; raises NftRefused, OSError."""

    def work() -> None:
        nft = Nftables()
        try:
            nft.run(rules(server) if server is not None else gone())
        finally:
            nft.close()
        _SETTING.write_text("0" if server is None else "1")

    netns.inside(namespace, work)
