"""The only SQL about networks: networks, sandboxes (one per container with a namespace), endpoints, published ports.

Rows are intentions: they are written before the kernel is touched and deleted after it has been cleaned up, so that
whatever a killed daemon left behind is found again by its row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network

from riad.engine.networks.model import Driver, Endpoint, NameWishes, Network, Pool, PublishedPort
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
)


@dataclass(frozen=True, slots=True)
class SandboxRow:
    container_id: str
    name: str
    hostname: str
    domain: str
    on_host: bool
    names: NameWishes


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

    # sandboxes

    def add_sandbox(self, row: SandboxRow) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO network_sandbox VALUES (?, ?, ?, ?, ?, ?)",
                (row.container_id, row.name, row.hostname, row.domain, row.on_host, json.dumps(asdict(row.names))),
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
                "INSERT INTO network_endpoint (id, network_id, container_id, address, mac, guest_link, aliases)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    endpoint.id,
                    endpoint.network_id,
                    endpoint.container_id,
                    str(endpoint.address),
                    endpoint.mac,
                    endpoint.guest_link,
                    json.dumps(endpoint.aliases),
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
                "INSERT INTO network_port VALUES (?, ?, ?, ?, ?)",
                (container_id, port.proto, port.host_ip, port.host_port, port.container_port),
            )

    def ports(self) -> list[tuple[str, PublishedPort]]:
        """Container id and port, in the order of publishing."""
        rows = self._state.connection.execute("SELECT * FROM network_port ORDER BY rowid")
        return [
            (r["container_id"], PublishedPort(r["container_port"], r["proto"], r["host_ip"], r["host_port"]))
            for r in rows
        ]


def _document(network: Network) -> str:
    return json.dumps(
        {
            "pool": _pool_document(network.pool),
            "mtu": network.mtu,
            "internal": network.internal,
            "attachable": network.attachable,
            "masquerade": network.masquerade,
            "between_containers": network.between_containers,
            "host_binding": network.host_binding,
            "labels": dict(network.labels),
            "options": dict(network.options),
            "ipam_options": dict(network.ipam_options),
        }
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
    document = json.loads(row["document"])
    pool = document.pop("pool")
    return Network(
        id=row["id"],
        name=row["name"],
        driver=Driver(row["driver"]),
        created=row["created"],
        bridge=row["bridge"],
        pool=None if pool is None else _pool(pool),
        **document,
    )


def _pool(document: Mapping[str, object]) -> Pool:
    reserved = document["reserved"]
    return Pool(
        subnet=IPv4Network(document["subnet"]),
        gateway=IPv4Address(document["gateway"]),
        range=IPv4Network(document["range"]) if document["range"] else None,
        reserved={k: IPv4Address(v) for k, v in reserved.items()} if isinstance(reserved, dict) else {},
        by_user=bool(document["by_user"]),
    )


def _sandbox(row: sqlite3.Row) -> SandboxRow:
    names = {key: tuple(values) for key, values in json.loads(row["names"]).items()}
    return SandboxRow(
        container_id=row["container_id"],
        name=row["name"],
        hostname=row["hostname"],
        domain=row["domain"],
        on_host=bool(row["on_host"]),
        names=NameWishes(**names),
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
    )
