"""Driver options of networks (`docker network create -o`), read with Docker's rules. Pure.

As with Docker an option that a driver does not know is kept and shown, and changes nothing; the answer to create
then carries a warning that names it. Options of newer engines that would change who can reach whom are refused:
passing over them in silence would open what somebody meant to close.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address

from riad.engine.networks.model import GatewayMode, Uplink
from riad.kernel.faults import invalid, unsupported

_P = "com.docker.network."
BRIDGE_NAME = _P + "bridge.name"
MASQUERADE = _P + "bridge.enable_ip_masquerade"
ICC = _P + "bridge.enable_icc"
HOST_BINDING = _P + "bridge.host_binding_ipv4"
GATEWAY_MODE = _P + "bridge.gateway_mode_ipv4"
GATEWAY_MODE6 = _P + "bridge.gateway_mode_ipv6"
INHIBIT_IPV4 = _P + "bridge.inhibit_ipv4"
MTU = _P + "driver.mtu"
LINK_PREFIX = _P + "container_iface_prefix"
ENABLE_IPV6 = _P + "enable_ipv6"
ENABLE_IPV4 = _P + "enable_ipv4"
DEFAULT_BRIDGE = _P + "bridge.default_bridge"

PARENT, MACVLAN_MODE, IPVLAN_MODE, IPVLAN_FLAG = "parent", "macvlan_mode", "ipvlan_mode", "ipvlan_flag"
MACVLAN_MODES = ("bridge", "private", "vepa", "passthru")
IPVLAN_MODES = ("l2", "l3", "l3s")
IPVLAN_FLAGS = ("bridge", "private", "vepa")

_COMMON = frozenset({MTU, LINK_PREFIX, ENABLE_IPV6, ENABLE_IPV4})
KNOWN: Mapping[str, frozenset[str]] = {
    "bridge": _COMMON
    | {BRIDGE_NAME, MASQUERADE, ICC, HOST_BINDING, GATEWAY_MODE, GATEWAY_MODE6, INHIBIT_IPV4, DEFAULT_BRIDGE},
    "macvlan": _COMMON | {PARENT, MACVLAN_MODE},
    "ipvlan": _COMMON | {PARENT, IPVLAN_MODE, IPVLAN_FLAG},
}
_REFUSED = frozenset(
    {
        _P + "bridge.trusted_host_interfaces",
        _P + "bridge.host_ipv4",
        _P + "bridge.host_ipv6",
        _P + "host_ipv4",
        _P + "host_ipv6",
    }
)

_LINK_NAME = re.compile(r"[^\s/:]{1,15}")
_PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,10}")
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")

Options = Mapping[str, str]


def strangers(driver: str, options: Options) -> list[str]:
    """Those that the driver does not know; raises UNSUPPORTED for one that must not be passed over."""
    for name in options:
        if name in _REFUSED:
            raise unsupported(f"network option {name} is not supported: create the network without it")
    return sorted(set(options) - KNOWN[driver])


def bridge_name(options: Options, default: str) -> str:
    name = options.get(BRIDGE_NAME) or default
    if not _LINK_NAME.fullmatch(name) or name in (".", ".."):
        raise invalid(f"invalid bridge name {name!r}: at most 15 characters without blanks, '/' and ':'")
    return name


def flag(options: Options, name: str, *, default: bool) -> bool:
    text = options.get(name, "")
    if text == "":
        return default
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise invalid(f"failed to parse {name} value: {text!r} is neither true nor false")


def mtu(options: Options, default: int) -> int:
    text = options.get(MTU, "")
    if not text:
        return default
    if not text.isdecimal() or not 68 <= int(text) <= 65535:
        raise invalid(f"failed to parse {MTU} value: {text!r} is not a size from 68 to 65535")
    return int(text)


def host_binding(options: Options) -> str:
    text = options.get(HOST_BINDING, "")
    if not text:
        return "0.0.0.0"  # noqa: S104 -- Docker's default
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise invalid(f"failed to parse {HOST_BINDING} value: {text!r} is not an IPv4 address") from None


def gateway_mode(options: Options, name: str, *, internal: bool) -> GatewayMode:
    text = options.get(name, "") or "nat"
    try:
        mode = GatewayMode(text)
    except ValueError:
        raise invalid(f"{name}: invalid gateway mode {text!r}: nat, routed and isolated are supported") from None
    if mode is GatewayMode.ISOLATED and not internal:
        raise invalid("gateway mode 'isolated' can only be used for an internal network")
    return mode


def link_prefix(options: Options) -> str:
    text = options.get(LINK_PREFIX, "") or "eth"
    if not _PREFIX.fullmatch(text) or text == "lo":
        raise invalid(f"{LINK_PREFIX}: {text!r} cannot begin a link's name: letters and digits, at most 11")
    return text


def macvlan(options: Options, *, default_parent: str) -> Uplink:
    mode = options.get(MACVLAN_MODE) or "bridge"
    if mode not in MACVLAN_MODES:
        raise invalid(f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default")
    return Uplink(_parent(options, "macvlan", default_parent), mode)


def ipvlan(options: Options, *, default_parent: str) -> Uplink:
    mode = options.get(IPVLAN_MODE) or "l2"
    if mode not in IPVLAN_MODES:
        raise invalid(f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default")
    kind = options.get(IPVLAN_FLAG) or "bridge"
    if kind not in IPVLAN_FLAGS:
        raise invalid(f"requested ipvlan flag '{kind}' is not valid, 'bridge' is the ipvlan driver default")
    return Uplink(_parent(options, "ipvlan", default_parent), mode, kind)


def _parent(options: Options, driver: str, default: str) -> str:
    parent = options.get(PARENT) or default
    if parent == "lo":
        raise invalid(f"loopback interface is not a valid {driver} parent link")
    if not _LINK_NAME.fullmatch(parent):
        raise invalid(f"invalid parent {parent!r}: expected the name of a link of this host, such as eth0 or eth0.10")
    return parent


def vlan_of(parent: str) -> tuple[str, int] | None:
    """The link and number of a sub-interface such as eth0.10; None for another name."""
    link, _, number = parent.rpartition(".")
    if link and number.isdecimal() and 0 < int(number) < 4095:
        return link, int(number)
    return None
