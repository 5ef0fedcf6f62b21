"""Links, addresses and routes over a raw route-netlink socket.

Written by hand because importing pyroute2 costs the daemon 24 MB and 120 ms, while the engine needs a dozen messages.
A socket belongs for ever to the network namespace of the thread that opened it, whichever thread uses it later:
`netns.py` opens sockets inside containers' namespaces and hands them out, so nothing here ever switches namespace.

Message layout: rtnetlink(7), netlink(7). Every message is acknowledged by the kernel or raises `NetlinkError`.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from types import TracebackType

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")

_REQUEST, _ACK, _EXCLUSIVE, _CREATE, _DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
_ERROR, _DONE = 2, 3
_NEW_LINK, _DELETE_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _GET_ADDRESS = 20, 22
_NEW_ROUTE, _DELETE_ROUTE, _GET_ROUTE = 24, 25, 26
_IFF_UP = 1
_NESTED = 0x8000

# link attributes (linux/if_link.h)
_MAC, _NAME, _MTU, _PARENT, _MASTER, _LINK_INFO, _NS_FD, _ALIAS, _EXT_MASK = 1, 3, 4, 5, 10, 18, 28, 20, 29
_INFO_KIND, _INFO_DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_VETH_PEER = 1
_VLAN_ID = 1
_MACVLAN_MODE, _IPVLAN_MODE, _IPVLAN_FLAGS = 1, 1, 2
_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
_IPVLAN_FLAG_BITS = {"bridge": 0, "private": 1, "vepa": 2}
_PORT_HAIRPIN, _PORT_ISOLATED = 4, 33
_SKIP_STATISTICS = 8
# address and route attributes
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_TABLE_MAIN, _PROTO_STATIC, _SCOPE_UNIVERSE, _SCOPE_LINK, _TYPE_UNICAST = 254, 4, 0, 253, 1
_NO_DUPLICATE_CHECK = 0x02
"""Nobody else chooses addresses here, and one that is still being checked cannot be used."""

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network


class NetlinkError(OSError):
    """The kernel refused a message; `errno` says why."""


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    master: int
    alias: str


@dataclass(frozen=True, slots=True)
class Route:
    """`destination` is None for a default route."""

    destination: Subnet | None
    gateway: Address | None
    link: int
    version: int = 4


@dataclass(frozen=True, slots=True)
class Veth:
    """A pair: `name` here, plugged into the bridge `master`; `peer` in the namespace open as `peer_namespace`."""

    name: str
    master: int
    peer: str
    peer_mac: str
    peer_namespace: int
    mtu: int
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A macvlan or ipvlan link `name` of the link with index `parent`, made in the namespace open as `namespace`.

    `mode` and `flag` are the words of `docker network create -o`. An ipvlan link has no MAC of its own.
    """

    kind: str
    name: str
    parent: int
    namespace: int
    mode: str
    flag: str = ""
    mac: str = ""
    mtu: int = 0


class Netlink:
    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(10)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        payload = _LINK.pack(0, 0, 0, 0, 0) + _attribute(_EXT_MASK, struct.pack("=I", _SKIP_STATISTICS))
        return [_link(body) for kind, body in self._ask(_GET_LINK, _DUMP, payload) if kind == _NEW_LINK]

    def link(self, name: str) -> Link | None:
        payload = _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, name)
        try:
            answers = list(self._ask(_GET_LINK, 0, payload))
        except NetlinkError as error:
            if error.errno == 19:  # ENODEV
                return None
            raise
        return _link(answers[0][1])

    def add_bridge(self, name: str, *, mac: str, mtu: int, alias: str) -> int:
        """Makes a bridge that is up and returns its index; raises FileExists' errno where the name is taken."""
        info = _attribute(_LINK_INFO | _NESTED, _text(_INFO_KIND, "bridge"))
        described = _text(_NAME, name) + _mac(mac) + _number(_MTU, mtu)
        self._do(_NEW_LINK, _CREATE | _EXCLUSIVE, _LINK.pack(0, 0, 0, _IFF_UP, _IFF_UP) + described + info)
        made = self.link(name)
        if made is None:
            raise NetlinkError(19, f"the bridge {name} vanished while it was made")
        self.set_alias(name, alias)
        return made.index

    def add_veth(self, veth: Veth) -> None:
        """Makes the pair; the near end is up at once, the far end stays down until its namespace sets it up."""
        far = _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, veth.peer) + _mac(veth.peer_mac) + _number(_MTU, veth.mtu)
        far += _number(_NS_FD, veth.peer_namespace)
        data = _attribute(_INFO_DATA | _NESTED, _attribute(_VETH_PEER | _NESTED, far))
        near = _text(_NAME, veth.name) + _number(_MTU, veth.mtu) + _number(_MASTER, veth.master)
        near += _attribute(_LINK_INFO | _NESTED, _text(_INFO_KIND, "veth") + data)
        self._do(_NEW_LINK, _CREATE | _EXCLUSIVE, _LINK.pack(0, 0, 0, _IFF_UP, _IFF_UP) + near)
        self._set_port(veth.name, isolated=veth.isolated)

    def add_pair(self, name: str, peer: str, *, mtu: int) -> None:
        """Two links of this namespace with each other as their only neighbour, both up."""
        far = _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, peer) + _number(_MTU, mtu)
        data = _attribute(_INFO_DATA | _NESTED, _attribute(_VETH_PEER | _NESTED, far))
        near = _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, name) + _number(_MTU, mtu)
        near += _attribute(_LINK_INFO | _NESTED, _text(_INFO_KIND, "veth") + data)
        self._do(_NEW_LINK, _CREATE | _EXCLUSIVE, near)
        for each in (name, peer):
            link = self.link(each)
            if link is not None:
                self.set_up(link.index)

    def add_child(self, child: Child) -> None:
        """Raises NetlinkError (EOPNOTSUPP) where the kernel has no such links, EBUSY where the parent is taken."""
        payload = _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, child.name) + _number(_PARENT, child.parent)
        payload += _number(_NS_FD, child.namespace)
        if child.mac and child.kind == "macvlan":
            payload += _mac(child.mac)
        if child.mtu:
            payload += _number(_MTU, child.mtu)
        info = _text(_INFO_KIND, child.kind) + _attribute(_INFO_DATA | _NESTED, _child_data(child))
        self._do(_NEW_LINK, _CREATE | _EXCLUSIVE, payload + _attribute(_LINK_INFO | _NESTED, info))

    def add_vlan(self, name: str, *, parent: int, number: int, alias: str) -> None:
        """A sub-interface with an 802.1q number, up."""
        info = _text(_INFO_KIND, "vlan")
        info += _attribute(_INFO_DATA | _NESTED, _attribute(_VLAN_ID, struct.pack("=H", number)))
        payload = _LINK.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _text(_NAME, name) + _number(_PARENT, parent)
        self._do(_NEW_LINK, _CREATE | _EXCLUSIVE, payload + _attribute(_LINK_INFO | _NESTED, info))
        self.set_alias(name, alias)

    def set_alias(self, name: str, alias: str) -> None:
        self._do(_NEW_LINK, 0, _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, name) + _text(_ALIAS, alias))

    def delete_link(self, name: str) -> bool:
        """False where there is no such link."""
        try:
            self._do(_DELETE_LINK, 0, _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, name))
        except NetlinkError as error:
            if error.errno == 19:
                return False
            raise
        return True

    def set_up(self, index: int) -> None:
        self._do(_NEW_LINK, 0, _LINK.pack(0, 0, index, _IFF_UP, _IFF_UP))

    def add_address(self, index: int, address: Interface) -> None:
        """Adding what is there already is no error."""
        packed = address.ip.packed
        flags = _NO_DUPLICATE_CHECK if address.version == 6 else 0
        body = _ADDRESS.pack(_family(address.version), address.network.prefixlen, flags, 0, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        if address.version == 4 and address.network.prefixlen < 31:
            body += _attribute(_IFA_BROADCAST, address.network.broadcast_address.packed)
        with suppress(FileExistsError):
            self._do(_NEW_ADDRESS, _CREATE | _EXCLUSIVE, body)

    def addresses(self, version: int = 4) -> list[tuple[int, Interface]]:
        """Link index and address of every address of one family here."""
        found = []
        for kind, body in self._ask(_GET_ADDRESS, _DUMP, _ADDRESS.pack(_family(version), 0, 0, 0, 0)):
            if kind == _NEW_ADDRESS:
                _, prefix, _, _, index = _ADDRESS.unpack_from(body)
                attributes = dict(_attributes(body[_ADDRESS.size :]))
                local = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]
                found.append((index, ip_interface((local, prefix))))
        return found

    def add_default_route(self, gateway: Address | None, index: int, *, version: int) -> None:
        """Without a gateway everything is a neighbour on the link itself."""
        self._do(_NEW_ROUTE, _CREATE | _EXCLUSIVE, _default_route(gateway, index, version))

    def delete_default_route(self, gateway: Address | None, index: int, *, version: int) -> None:
        self._do(_DELETE_ROUTE, 0, _default_route(gateway, index, version))

    def routes(self, version: int = 4) -> list[Route]:
        """The routes of one family in the main table."""
        found = []
        for kind, body in self._ask(_GET_ROUTE, _DUMP, _ROUTE.pack(_family(version), 0, 0, 0, 0, 0, 0, 0, 0)):
            _, length, _, _, table, _, _, _, _ = _ROUTE.unpack_from(body)
            if kind == _NEW_ROUTE and table == _TABLE_MAIN:
                attributes = dict(_attributes(body[_ROUTE.size :]))
                to, via, link = attributes.get(_RTA_DST), attributes.get(_RTA_GATEWAY), attributes.get(_RTA_OIF)
                found.append(
                    Route(
                        destination=ip_network((to, length)) if to else None,
                        gateway=ip_address(via) if via else None,
                        link=int.from_bytes(link, "little") if link else 0,
                        version=version,
                    )
                )
        return found

    def _set_port(self, name: str, *, isolated: bool) -> None:
        """Hairpin: a container may reach itself through a port it publishes, even where bridged frames are filtered.

        Isolated ports of a bridge reach its gateway but not each other.
        """
        settings = _attribute(_PORT_HAIRPIN, b"\x01") + _attribute(_PORT_ISOLATED, bytes([isolated]))
        info = _text(_SLAVE_KIND, "bridge") + _attribute(_SLAVE_DATA | _NESTED, settings)
        info = _attribute(_LINK_INFO | _NESTED, info)
        self._do(_NEW_LINK, 0, _LINK.pack(0, 0, 0, 0, 0) + _text(_NAME, name) + info)

    def _do(self, kind: int, flags: int, payload: bytes) -> None:
        for _ in self._ask(kind, flags | _ACK, payload):
            pass

    def _ask(self, kind: int, flags: int, payload: bytes) -> Iterator[tuple[int, bytes]]:
        """Sends one request and yields (type, body) of its answers up to the acknowledgement or the end of the dump."""
        self._sequence += 1
        length = _HEADER.size + len(payload)
        self._socket.send(_HEADER.pack(length, kind, flags | _REQUEST, self._sequence, 0) + payload)
        expects_end = bool(flags & (_ACK | _DUMP))
        while True:
            for answer, sequence, body in _messages(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise _refusal(code, kind)
                    return
                if answer == _DONE:
                    return
                yield answer, body
                if not expects_end:
                    return


def _refusal(code: int, kind: int) -> OSError:
    if code == 17:
        return FileExistsError(code, f"netlink message {kind}: {os.strerror(code)}")
    return NetlinkError(code, f"netlink message {kind}: {os.strerror(code)}")


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _mac(value: str) -> bytes:
    return _attribute(_MAC, bytes.fromhex(value.replace(":", "")))


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _default_route(gateway: Address | None, index: int, version: int) -> bytes:
    scope = _SCOPE_UNIVERSE if gateway is not None else _SCOPE_LINK
    head = _ROUTE.pack(_family(version), 0, 0, 0, _TABLE_MAIN, _PROTO_STATIC, scope, _TYPE_UNICAST, 0)
    via = _attribute(_RTA_GATEWAY, gateway.packed) if gateway is not None else b""
    return head + via + _number(_RTA_OIF, index)


def _child_data(child: Child) -> bytes:
    if child.kind == "macvlan":
        return _number(_MACVLAN_MODE, _MACVLAN_MODES[child.mode])
    mode = _attribute(_IPVLAN_MODE, struct.pack("=H", _IPVLAN_MODES[child.mode]))
    return mode + _attribute(_IPVLAN_FLAGS, struct.pack("=H", _IPVLAN_FLAG_BITS[child.flag or "bridge"]))


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = dict(_attributes(body[_LINK.size :]))
    return Link(
        index=index,
        name=found[_NAME].rstrip(b"\0").decode(errors="replace"),
        mac=found.get(_MAC, b"").hex(":"),
        mtu=int.from_bytes(found.get(_MTU, b""), "little"),
        up=bool(flags & _IFF_UP),
        master=int.from_bytes(found.get(_MASTER, b""), "little"),
        alias=found.get(_ALIAS, b"").rstrip(b"\0").decode(errors="replace"),
    )
