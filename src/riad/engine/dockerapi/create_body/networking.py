"""`NetworkingConfig`, and what of `HostConfig` says how the container is reached and finds names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, TypedDict

from riad.engine.dockerapi.create_body.fields import AT, Json
from riad.engine.dockerapi.network_bodies import read_endpoint
from riad.engine.networks.model import EndpointWish, PortBinding
from riad.engine.networks.published import binding
from riad.kernel.faults import invalid
from riad.oci.fields import field, texts

FIELDS = frozenset(
    ["Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "Links", "NetworkMode", "PortBindings", "PublishAllPorts"],
)


class Networking(TypedDict):
    """Members of `HostSettings`."""

    network_mode: str
    ports: tuple[PortBinding, ...]
    publish_all: bool
    dns: tuple[str, ...]
    dns_options: tuple[str, ...]
    dns_search: tuple[str, ...]
    extra_hosts: tuple[str, ...]
    links: tuple[str, ...]


def read_networking(body: Json) -> Networking:
    """What `HostConfig` says; the networks themselves are in `read_networks`."""
    return Networking(
        network_mode=field(body, "NetworkMode", str, "", at=AT) or "default",
        ports=tuple(_ports(body)),
        publish_all=field(body, "PublishAllPorts", bool, False, at=AT),
        dns=texts(body, "Dns", at=AT),
        dns_options=texts(body, "DnsOptions", at=AT),
        dns_search=texts(body, "DnsSearch", at=AT),
        extra_hosts=texts(body, "ExtraHosts", at=AT),
        links=texts(body, "Links", at=AT),
    )


def _ports(body: Json) -> list[PortBinding]:
    return read_bindings(field(body, "PortBindings", dict, {}, at=AT))


def read_bindings(bindings: dict[str, Any]) -> list[PortBinding]:
    """A PortMap: `80/tcp` to a list of HostIp and HostPort. Raises INVALID."""
    found = []
    for text, hosts in bindings.items():
        number, _, proto = text.partition("/")
        if not number.isdigit():
            raise invalid(f"invalid port specification: {text!r}: expected PORT/tcp or PORT/udp")
        for host in hosts or [{}]:
            if not isinstance(host, dict):
                raise invalid(f"{AT}PortBindings/{text}: expected a list of objects")
            ip, port = field(host, "HostIp", str, ""), field(host, "HostPort", str, "")
            found.append(binding(int(number), proto or "tcp", host_ip=ip, host_port=port))
    return found


def check_version(networks: Collection[str], version: tuple[int, int]) -> None:
    """Several networks at creation came with API 1.44; raises INVALID with Docker's sentence for clients before."""
    if len(networks) > 1 and version < (1, 44):
        raise invalid(f"Container cannot be connected to network endpoints: {', '.join(sorted(networks))}")


def read_networks(body: Json, mode: str) -> dict[str, EndpointWish]:
    """`NetworkingConfig`, by network; the old `MacAddress` of the container is that of its first network, `mode`."""
    wishes: dict[str, Any] = field(field(body, "NetworkingConfig", dict, {}), "EndpointsConfig", dict, {})
    mac = field(body, "MacAddress", str, "")
    found = {name: read_endpoint(wish or {}, f"NetworkingConfig/{name}/") for name, wish in wishes.items()}
    if mac:
        before = found.get(mode, EndpointWish())
        found[mode] = replace(before, mac=before.mac or mac)
    return found
