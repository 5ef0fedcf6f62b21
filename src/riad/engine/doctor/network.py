"""The network: links and rules tried for real in a namespace of their own, and who else is at work on this host."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from riad.engine.doctor.findings import Finding, good, note, problem, warning
from riad.engine.host import netns
from riad.engine.host.netlink import Netlink, Veth
from riad.engine.host.nftables import Nftables
from riad.engine.networks import ruleset
from riad.engine.networks.firewall import forward_policy_drops
from riad.kernel.faults import Fault

_MAC = "02:42:00:00:00:01"


def trials() -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="riad-doctor-") as folder:
        place = Path(folder) / "netns"
        try:
            with netns.create(place) as inside:
                yield _bridge_and_pair(inside, place)
            yield netns.inside(place, _rules)
        except OSError as error:
            yield problem(
                "network namespace", f"{error}", "is this process root, with CAP_SYS_ADMIN and CAP_NET_ADMIN?"
            )
        finally:
            netns.remove(place)


def _bridge_and_pair(inside: Netlink, place: Path) -> Finding:
    handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        bridge = inside.add_bridge("riad-trial", mac=_MAC, mtu=1500, alias="trial")
        inside.add_veth(Veth("riad-a", bridge, "riad-b", "02:42:00:00:00:02", handle, 1500, isolated=True))
    except OSError as error:
        return problem("bridges and links", f"{error}", "modprobe bridge veth, and name both in /etc/modules-load.d")
    finally:
        os.close(handle)
    return good("bridges and links", "tried in a namespace")


def _rules() -> Finding:
    nft = Nftables()
    try:
        nft.run(ruleset.whole("riad_trial", []) + ruleset.gone("riad_trial"))
    except Fault as fault:
        return problem(
            "firewall rules", fault.message, "modprobe nf_tables nft_chain_nat nft_fib_ipv4, or a newer kernel"
        )
    finally:
        nft.close()
    return good("firewall rules", "tried in a namespace")


def findings() -> Iterator[Finding]:
    yield forwarding(_setting("net/ipv4/ip_forward"))
    yield from bridge_filter(_setting("net/bridge/bridge-nf-call-iptables"))
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    yield from others(links)
    if os.geteuid() != 0:
        return
    nft = Nftables()
    try:
        if forward_policy_drops(nft.run):
            yield warning(
                "forward policy",
                "the host's iptables FORWARD chain drops what nobody accepts",
                "nothing, where dockerd made it: the engine adds its accepts to DOCKER-USER; else iptables -I FORWARD "
                "-i riad-+ -j ACCEPT; iptables -I FORWARD -o riad-+ -j ACCEPT (br-+ for networks of your own)",
            )
        yield from tables(nft.run("list tables"))
    finally:
        nft.close()


def forwarding(value: str | None) -> Finding:
    if value == "1":
        return good("forwarding", "on")
    return note(
        "forwarding",
        "off",
        "the engine switches it on when it starts; to keep it: net.ipv4.ip_forward=1 in /etc/sysctl.d/riad.conf",
    )


def bridge_filter(value: str | None) -> Iterator[Finding]:
    if value == "1":
        yield note(
            "br_netfilter",
            "packets between containers of one bridge pass through the host's iptables",
            "sysctl net.bridge.bridge-nf-call-iptables=0, unless Kubernetes on this host needs it",
        )


def others(links: set[str]) -> Iterator[Finding]:
    for link, engine in (("docker0", "Docker"), ("podman0", "Podman"), ("cni0", "a CNI plugin"), ("lxcbr0", "LXC")):
        if link in links:
            yield note("other engines", f"{engine} has the link {link}", "works beside it: subnets are chosen apart")


def tables(listed: str) -> Iterator[Finding]:
    names = {line.split()[-1] for line in listed.splitlines() if line.startswith("table ")}
    if "firewalld" in names:
        yield note(
            "firewalld",
            "rules of the host apply to published ports, too",
            "firewall-cmd --zone=trusted --add-interface=riad-+ lets containers out where a zone rejects them",
        )
    engines = sorted(name for name in names if name.startswith("riad_"))
    if len(engines) > 1:
        yield note(
            "tables", f"{len(engines)} engines of Riad have rules here: {', '.join(engines)}", "fine, if they live"
        )


def _setting(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return None
