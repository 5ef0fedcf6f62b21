"""The only SQL about networks: networks, sandboxes (one per container with a namespace), endpoints, published ports.

Rows are intentions: they are written before the kernel is touched and deleted after it has been cleaned up, so that
whatever a killed daemon left behind is found again by its row.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from riad.engine.networks.model import (
    Driver,
    Endpoint,
    GatewayMode,
    NameWishes,
    Network,
    Pool,
    PortBinding,
    PublishedPort,
    Uplink,
)
from riad.engine.state import State

STEPS = (
    """
    CREATE TABLE network (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created TEXT NOT NULL,
        bridge TEXT NOT NULL, document TEXT NOT NULL
    );
    CREATE TABLE network_sandbox (
        container_id TEXT PRIMARY KEY, name TEXT NOT NULL, hostname TEXT NOT NULL, domain TEXT NOT NULL,
        on_host INTEGER NOT NULL, names TEXT NOT NULL
    );
    CREATE TABLE network_endpoint (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        network_id TEXT NOT NULL REFERENCES network (id),
        container_id TEXT NOT NULL REFERENCES network_sandbox (container_id) ON DELETE CASCADE,
        address TEXT NOT NULL, mac TEXT NOT NULL, guest_link TEXT NOT NULL, aliases TEXT NOT NULL,
        UNIQUE (network_id, address), UNIQUE (network_id, container_id)
    );
    CREATE TABLE network_port (
        container_id TEXT NOT NULL REFERENCES network_sandbox (container_id) ON DELETE CASCADE,
        proto TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL, container_port INTEGER NOT NULL,
        UNIQUE (proto, host_ip, host_port)
    )
    """,
    """
    ALTER TABLE network_endpoint ADD COLUMN address6 TEXT NOT NULL DEFAULT '';
    ALTER TABLE network_endpoint ADD COLUMN sysctls TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE network_sandbox ADD COLUMN wanted TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE network_published (
        container_id TEXT NOT NULL REFERENCES network_sandbox (container_id) ON DELETE CASCADE,
        proto TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL, container_port INTEGER NOT NULL,
        PRIMARY KEY (container_id, proto, host_ip, host_port, container_port)
    );
    INSERT INTO network_published SELECT container_id, proto, host_ip, host_port, container_port FROM network_port;
    DROP TABLE network_port;
    CREATE TABLE network_own (ula BLOB NOT NULL)
    """,
)


@dataclass(frozen=True, slots=True)
class SandboxRow:
    """`wanted`: the ports asked for, of which those are published that the container's networks allow at present."""

    container_id: str
    name: str
    hostname: str
    domain: str
    on_host: bool
    names: NameWishes
    wanted: tuple[PortBinding, ...] = ()


class NetworkStore:
    def __init__(self, state: State) -> None:
        self._state = state
        state.migrate("networks", STEPS)

    # networks

    def add_network(self, network: Network) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO network (id, name, driver, created, bridge, document) VALUES (?, ?, ?, ?, ?, ?)",
                (network.id, network.name, network.driver.value, network.created, network.bridge, _document(network)),
            )

    def replace_network(self, network: Network) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "UPDATE network SET bridge = ?, document = ? WHERE id = ?",
                (network.bridge, _document(network), network.id),
            )

    def delete_network(self, network_id: str) -> None:
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM network WHERE id = ?", (network_id,))

    def networks(self) -> list[Network]:
        rows = self._state.connection.execute("SELECT * FROM network ORDER BY created, id")
        return [_network(row) for row in rows]

    def global_id(self) -> bytes:
        """The 5 random bytes of this engine's own IPv6 prefix (RFC 4193), the same for ever."""
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO network_own SELECT ? WHERE NOT EXISTS (SELECT 1 FROM network_own)",
                (secrets.token_bytes(5),),
            )
            return bytes(sql.execute("SELECT ula FROM network_own").fetchone()["ula"])

    # sandboxes

    def add_sandbox(self, row: SandboxRow) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO network_sandbox (container_id, name, hostname, domain, on_host, names, wanted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    row.container_id,
                    row.name,
                    row.hostname,
                    row.domain,
                    row.on_host,
                    json.dumps(asdict(row.names)),
                    _wanted_document(row.wanted),
                ),
            )

    def want_ports(self, container_id: str, wanted: tuple[PortBinding, ...]) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "UPDATE network_sandbox SET wanted = ? WHERE container_id = ?",
                (_wanted_document(wanted), container_id),
            )

    def rename_sandbox(self, container_id: str, name: str) -> None:
        with self._state.transaction() as sql:
            sql.execute("UPDATE network_sandbox SET name = ? WHERE container_id = ?", (name, container_id))

    def delete_sandbox(self, container_id: str) -> None:
        """With its endpoints and ports. Twice is no error."""
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM network_sandbox WHERE container_id = ?", (container_id,))

    def sandboxes(self) -> list[SandboxRow]:
        return [_sandbox(row) for row in self._state.connection.execute("SELECT * FROM network_sandbox")]

    # endpoints

    def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Returns it with the number that the store gave it."""
        with self._state.transaction() as sql:
            cursor = sql.execute(
                "INSERT INTO network_endpoint (id, network_id, container_id, address, mac, guest_link, aliases,"
                " address6, sysctls) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    endpoint.id,
                    endpoint.network_id,
                    endpoint.container_id,
                    str(endpoint.address),
                    endpoint.mac,
                    endpoint.guest_link,
                    json.dumps(endpoint.aliases),
                    str(endpoint.address6 or ""),
                    json.dumps(dict(endpoint.sysctls)),
                ),
            )
            row = sql.execute("SELECT * FROM network_endpoint WHERE number = ?", (cursor.lastrowid,)).fetchone()
        return _endpoint(row)

    def delete_endpoint(self, endpoint_id: str) -> None:
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM network_endpoint WHERE id = ?", (endpoint_id,))

    def endpoints(self) -> list[Endpoint]:
        """All of them, first attached first."""
        return [_endpoint(r) for r in self._state.connection.execute("SELECT * FROM network_endpoint ORDER BY number")]

    # ports

    def add_port(self, container_id: str, port: PublishedPort) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO network_published VALUES (?, ?, ?, ?, ?)",
                (container_id, port.proto, port.host_ip, port.host_port, port.container_port),
            )

    def delete_port(self, container_id: str, port: PublishedPort) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "DELETE FROM network_published WHERE container_id = ? AND proto = ? AND host_ip = ? AND host_port = ?"
                " AND container_port = ?",
                (container_id, port.proto, port.host_ip, port.host_port, port.container_port),
            )

    def ports(self) -> list[tuple[str, PublishedPort]]:
        """Container id and port, in the order of publishing."""
        rows = self._state.connection.execute("SELECT * FROM network_published ORDER BY rowid")
        return [
            (r["container_id"], PublishedPort(r["container_port"], r["proto"], r["host_ip"], r["host_port"]))
            for r in rows
        ]


def _document(network: Network) -> str:
    uplink = network.uplink
    return json.dumps(
        {
            "pool": _pool_document(network.pool),
            "pool6": _pool_document(network.pool6),
            "more_pools": [_pool_document(pool) for pool in network.more_pools],
            "uplink": asdict(uplink) if uplink is not None else None,
            "mode": network.mode.value,
            "mode6": network.mode6.value,
            **{name: getattr(network, name) for name in _PLAIN},
            **{name: dict(getattr(network, name)) for name in ("labels", "options", "ipam_options")},
        }
    )


_PLAIN = (
    "mtu",
    "internal",
    "attachable",
    "masquerade",
    "masquerade6",
    "between_containers",
    "host_binding",
    "has_gateway_address",
    "link_prefix",
    "config_from",
    "settings",
)


def _pool_document(pool: Pool | None) -> Mapping[str, object] | None:
    if pool is None:
        return None
    return {
        "subnet": str(pool.subnet),
        "gateway": str(pool.gateway),
        "range": str(pool.range) if pool.range else None,
        "reserved": {name: str(address) for name, address in pool.reserved.items()},
        "by_user": pool.by_user,
    }


def _network(row: sqlite3.Row) -> Network:
    """Documents of older engines lack the members that came later; those have their defaults."""
    document = json.loads(row["document"])
    pool, pool6, more = document.pop("pool"), document.pop("pool6", None), document.pop("more_pools", [])
    uplink = document.pop("uplink", None)
    return Network(
        id=row["id"],
        name=row["name"],
        driver=Driver(row["driver"]),
        created=row["created"],
        bridge=row["bridge"],
        pool=None if pool is None else _pool(pool),
        pool6=None if pool6 is None else _pool(pool6),
        more_pools=tuple(_pool(each) for each in more),
        uplink=None if uplink is None else Uplink(**uplink),
        mode=GatewayMode(document.pop("mode", "nat")),
        mode6=GatewayMode(document.pop("mode6", "nat")),
        **document,
    )


def _pool(document: Mapping[str, Any]) -> Pool:
    return Pool(
        subnet=ip_network(document["subnet"]),
        gateway=ip_address(document["gateway"]),
        range=ip_network(document["range"]) if document["range"] else None,
        reserved={name: ip_address(text) for name, text in document["reserved"].items()},
        by_user=bool(document["by_user"]),
    )


def _wanted_document(wanted: tuple[PortBinding, ...]) -> str:
    return json.dumps([asdict(wish) for wish in wanted])


def _sandbox(row: sqlite3.Row) -> SandboxRow:
    names = {key: tuple(values) for key, values in json.loads(row["names"]).items()}
    return SandboxRow(
        container_id=row["container_id"],
        name=row["name"],
        hostname=row["hostname"],
        domain=row["domain"],
        on_host=bool(row["on_host"]),
        names=NameWishes(**names),
        wanted=tuple(PortBinding(**wish) for wish in json.loads(row["wanted"])),
    )


def _endpoint(row: sqlite3.Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        number=row["number"],
        network_id=row["network_id"],
        container_id=row["container_id"],
        address=IPv4Address(row["address"]),
        mac=row["mac"],
        guest_link=row["guest_link"],
        aliases=tuple(json.loads(row["aliases"])),
        address6=IPv6Address(row["address6"]) if row["address6"] else None,
        sysctls=json.loads(row["sysctls"]),
    )
