"""DNS messages and names: read strangers' bytes, answer for containers."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.engine.networks.addresses import network_of, pool_for
from riad.engine.networks.directory import Directory
from riad.engine.networks.dns import message
from riad.engine.networks.dns.names import asker, resolve, reverse
from riad.engine.networks.dns.service import NameService
from riad.engine.networks.model import Driver, Endpoint, NameWishes, Network
from riad.engine.networks.store import NetworkStore, SandboxRow
from riad.engine.state import State

EDNS = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def question(name: str, kind: int = 1, *, number: int = 7, flags: int = 0x0100, more: bytes = EDNS) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    head = struct.pack("!HHHHHH", number, flags, 1, 0, 0, 1 if more else 0)
    return head + labels + b"\0" + struct.pack("!HH", kind, 1) + more


def test_a_query_is_read_in_lower_case_with_edns_or_without() -> None:
    for more in (b"", EDNS):
        query = message.parse_query(question("WEB.Mine", more=more))
        assert (query.id, query.name, query.type, query.is_internet) == (7, "web.mine", 1, True)


@given(st.binary(max_size=600))
def test_strangers_bytes_are_a_query_or_refused(data: bytes) -> None:
    try:
        query = message.parse_query(data)
    except message.NotAQueryError:
        message.format_error(data)
        return
    message.addresses(query, [IPv4Address("1.2.3.4")])
    message.failure(query, message.Code.REFUSED)
    message.answers_to(query, query.id, data)
    message.address_of_pointer(query.name)


@given(st.binary(min_size=12, max_size=80), st.integers(0, 79), st.integers(0, 255))
def test_a_damaged_query_never_breaks_the_reader(tail: bytes, at: int, value: int) -> None:
    data = bytearray(question("web.example.org") + tail)
    data[at % len(data)] = value
    try:
        message.parse_query(bytes(data))
    except message.NotAQueryError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 11,
        question("a", flags=0x8000),
        struct.pack("!HHHHHH", 1, 0, 2, 0, 0, 0) + b"\0\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
        question("abc", more=b"")[:-2],
    ],
)
def test_what_is_no_query_is_refused(data: bytes) -> None:
    with pytest.raises(message.NotAQueryError):
        message.parse_query(data)


def test_a_response_to_another_question_or_id_is_not_taken() -> None:
    query = message.parse_query(question("web"))
    right = struct.pack("!HHHHHH", 9, 0x8180, 1, 0, 0, 0) + query.question.upper()
    assert message.answers_to(query, 9, right)
    assert not message.answers_to(query, 8, right)
    assert not message.answers_to(query, 9, message.with_id(question("web"), 9))
    assert not message.answers_to(query, 9, right.replace(b"WEB", b"bad"))


def test_pointers_are_read_backwards() -> None:
    assert message.address_of_pointer("2.0.20.172.in-addr.arpa") == IPv4Address("172.20.0.2")
    assert message.address_of_pointer("x.in-addr.arpa") is None
    assert message.address_of_pointer("example.org") is None


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """web and db on `one`, web also on `two`; lonely on the default bridge; inner on an internal network."""
    made = Directory(NetworkStore(State(tmp_path / "state")))
    for number, (name, internal) in enumerate({"bridge": False, "one": False, "two": False, "shut": True}.items()):
        pool = pool_for(network_of(f"10.0.{number}.0/24"))
        made.add_network(
            Network(f"id-{name}", name, Driver.BRIDGE, str(number), pool, bridge=f"br{number}", internal=internal)
        )
    for number, (name, networks) in enumerate(
        {"web": ("one", "two"), "db": ("one",), "other": ("two",), "lonely": ("bridge",), "inner": ("shut",)}.items()
    ):
        made.add_sandbox(SandboxRow(f"{name}-0123456789ab", name, f"host-{name}", "", False, NameWishes()))
        for network in networks:
            pool = made.network(network).pool
            assert pool is not None
            made.add_endpoint(
                Endpoint(
                    f"{name}-{network}",
                    0,
                    f"id-{network}",
                    f"{name}-0123456789ab",
                    pool.subnet[10 + number],
                    "02:00:00:00:00:00",
                    "eth0",
                    ("Alias.of",) if name == "db" else (),
                )
            )
    return made


def found(directory: Directory, network: str, source: str, name: str) -> list[str]:
    who = asker(directory, directory.network(network), IPv4Address(source))
    assert who is not None
    return [str(address) for address in resolve(directory, who, name)]


@pytest.mark.parametrize("name", ["db", "alias.of", "host-db", "db.one", "db-012345678"])
def test_a_neighbour_is_found_by_name_alias_host_name_and_short_id(directory: Directory, name: str) -> None:
    assert found(directory, "one", "10.0.1.10", name) == ["10.0.1.11"]


def test_a_container_finds_neighbours_in_all_its_networks_and_only_there(directory: Directory) -> None:
    assert found(directory, "one", "10.0.1.10", "other") == ["10.0.2.12"]
    assert found(directory, "two", "10.0.2.12", "db") == []
    assert found(directory, "two", "10.0.2.12", "web") == ["10.0.2.10"]


def test_names_of_the_default_bridge_are_not_served(directory: Directory) -> None:
    assert found(directory, "bridge", "10.0.0.13", "lonely") == []


def test_strangers_addresses_ask_as_nobody(directory: Directory) -> None:
    assert asker(directory, directory.network("one"), IPv4Address("10.0.1.99")) is None


def test_addresses_are_named_backwards(directory: Directory) -> None:
    who = asker(directory, directory.network("one"), IPv4Address("10.0.1.10"))
    assert who is not None
    assert reverse(directory, who, IPv4Address("10.0.1.11")) == "db.one"
    assert reverse(directory, who, IPv4Address("9.9.9.9")) is None


def answer(service: NameService, directory: Directory, network: str, source: str, data: bytes) -> bytes:
    import asyncio

    made = asyncio.run(
        service._answer(asker(directory, directory.network(network), IPv4Address(source)), data, by_tcp=False)
    )
    assert made is not None
    return made


@pytest.fixture
def service(directory: Directory, tmp_path: Path) -> NameService:
    return NameService(directory, host_file=tmp_path / "none")


def code(data: bytes) -> tuple[int, int]:
    """Response code and number of answers."""
    _, flags, _, answers, _, _ = struct.unpack_from("!HHHHHH", data)
    return flags & 15, answers


def test_a_known_name_has_no_ipv6_address_but_exists(service: NameService, directory: Directory) -> None:
    assert code(answer(service, directory, "one", "10.0.1.10", question("db"))) == (0, 1)
    assert code(answer(service, directory, "one", "10.0.1.10", question("db", 28))) == (0, 0)


def test_without_any_resolver_other_names_fail(service: NameService, directory: Directory) -> None:
    assert code(answer(service, directory, "one", "10.0.1.10", question("example.org"))) == (2, 0)


def test_an_internal_network_asks_nobody_outside(service: NameService, directory: Directory) -> None:
    assert code(answer(service, directory, "shut", "10.0.3.14", question("example.org"))) == (2, 0)


def test_updates_and_garbage_get_an_error_not_silence(service: NameService, directory: Directory) -> None:
    assert code(answer(service, directory, "one", "10.0.1.10", question("db", flags=0x2800))) == (4, 0)
    assert code(answer(service, directory, "one", "10.0.1.10", b"\0\1" + b"\0" * 30)) == (1, 0)


def test_resolv_conf_follows_the_networks(directory: Directory, tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch corp.example\n")
    service = NameService(directory, host_file=file)

    def text(name: str) -> str:
        row = directory.sandbox(f"{name}-0123456789ab")
        assert row is not None
        pairs = [(directory.network(e.network_id), e) for e in directory.endpoints_of(row.container_id)]
        return service.resolv_conf(row, pairs)

    assert text("web") == "nameserver 10.0.1.1\nsearch corp.example\noptions ndots:0\n"
    assert text("inner").startswith("nameserver 10.0.3.1\n")
    assert text("lonely") == "nameserver 9.9.9.9\nsearch corp.example\n"
    file.write_text("nameserver 127.0.0.53\n")
    assert text("lonely") == "nameserver 10.0.0.1\n"
