"""Real networks on this host: own state, own table, own bridges; everything is gone after each test."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Protocol

import pytest

from riad.engine.networks.model import Attachment, EndpointWish, NameWishes, PortBinding, Sandbox
from riad.engine.networks.networks import Networks, NetworkSettings
from riad.engine.state import State
from riad.kernel.clock import SystemClock

_SERVER = """
import socket, sys, threading
def tcp(port):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        c, a = s.accept(); c.sendall(a[0].removeprefix("::ffff:").encode()); c.close()
def udp(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.setsockopt(41, socket.IPV6_V6ONLY, 0); s.bind(("::", port))
    while True:
        _, a = s.recvfrom(100); s.sendto(a[0].removeprefix("::ffff:").encode(), a)
threading.Thread(target=udp, args=(int(sys.argv[1]),), daemon=True).start()
tcp(int(sys.argv[1]))
"""

_CLIENT = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    if kind == "tcp":
        s = socket.create_connection((host, port), timeout=2)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(2); s.connect((host, port)); s.send(b"x")
    print(s.recv(100).decode())
except OSError as error:
    print("!", error)
"""

_LOOKUP = """
import socket, struct, sys
server, name, tcp, kind = sys.argv[1], sys.argv[2], sys.argv[3] == "True", int(sys.argv[4])
question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0" + struct.pack("!HH", kind, 1)
edns = b"\\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
data = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 1) + question + edns
if tcp:
    s = socket.create_connection((server, 53), timeout=8)
    s.sendall(struct.pack("!H", len(data)) + data)
    answer = s.recv(4096)[2:]
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(8)
    s.sendto(data, (server, 53)); answer = s.recv(4096)
number, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", answer)
assert number == 7
text = socket.inet_ntoa(answer[-4:]) if kind == 1 else socket.inet_ntop(socket.AF_INET6, answer[-16:])
print(text if count else f"code {flags & 15}")
"""


class Bench:
    """An engine's networks, with containers that are only namespaces."""

    def __init__(self, root: Path, *, bip: str = "", ipv6: bool = False) -> None:
        self.root = root
        self.bip = bip
        self.ipv6 = ipv6
        self.instance = secrets.token_hex(4)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.happened: list[tuple[str, str]] = []
        self.networks = self._open()

    def _open(self) -> Networks:
        self.state = State(self.root / "state")
        bip = IPv4Interface(self.bip) if self.bip else None
        settings = NetworkSettings(self.instance, self.root / "run", bip, ipv6=self.ipv6)

        def announce(action: str, network: object, container: str | None) -> None:
            self.happened.append((action, getattr(network, "name", "")))

        return Networks(self.state, settings, clock=SystemClock(), announce=announce)

    async def restart(self, live: list[str]) -> None:
        """As after kill -9: nothing was closed in order."""
        self.networks._ports.close()  # the kernel does this for a killed process
        await self.networks._names.close()
        await self.networks._sandboxes.close()
        self.state.close()
        self.networks = self._open()
        await self.networks.recover(live)

    async def add(
        self,
        *networks: str,
        name: str = "",
        ports: tuple[PortBinding, ...] = (),
        aliases: tuple[str, ...] = (),
        ipv4: str = "",
        names: NameWishes | None = None,
    ) -> Sandbox:
        container = secrets.token_hex(32)
        wishes = {each: EndpointWish(aliases=aliases, ipv4=ipv4) for each in networks or ("bridge",)}
        request = Attachment(container, name or f"c{container[:6]}", container[:12], "", wishes, ports)
        return await self.networks.prepare(
            Attachment(**{**_fields(request), "names": names}) if names is not None else request
        )

    async def listen(self, sandbox: Sandbox | None, port: int) -> None:
        """A server by TCP and UDP that says where its client comes from."""
        command = [*self._inside(sandbox), sys.executable, "-c", _SERVER, str(port)]
        process = await asyncio.to_thread(subprocess.Popen, command, stdout=-1)
        self._processes.append(process)
        assert process.stdout is not None
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == b"ready"

    async def ask(self, sandbox: Sandbox | None, host: str, port: int, *, kind: str = "tcp") -> str:
        """What the server there says, or "! reason"."""
        return await self.run(sandbox, sys.executable, "-c", _CLIENT, kind, host, str(port))

    async def run(self, sandbox: Sandbox | None, *command: str) -> str:
        done = await asyncio.create_subprocess_exec(*self._inside(sandbox), *command, stdout=-1, stderr=-2)
        out, _ = await done.communicate()
        return out.decode().strip()

    async def lookup(self, sandbox: Sandbox | None, server: str, name: str, *, tcp: bool = False, kind: int = 1) -> str:
        """The address that the name server says, or "code N". `kind` 1 asks for IPv4 addresses, 28 for IPv6."""
        return await self.run(sandbox, sys.executable, "-c", _LOOKUP, server, name, str(tcp), str(kind))

    def _inside(self, sandbox: Sandbox | None) -> list[str]:
        return ["nsenter", f"--net={sandbox.netns}"] if sandbox is not None else []

    async def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        with suppress(Exception):
            await self.networks.teardown()
        await self.networks.close()
        self.state.close()


def _fields(request: Attachment) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__dataclass_fields__}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.networks.recover(())
    yield made
    await made.close()


class OpenBench(Protocol):
    def __call__(self, bip: str, *, ipv6: bool = False) -> Bench: ...


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[OpenBench]:
    """More engines beside the first, each with its `--bip`; they have not been started (`networks.recover`)."""
    async with AsyncExitStack() as opened:

        def open_one(bip: str, *, ipv6: bool = False) -> Bench:
            made = Bench(tmp_path / secrets.token_hex(4), bip=bip, ipv6=ipv6)
            opened.push_async_callback(made.close)
            return made

        yield open_one


Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def eventually() -> Eventually:
    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():  # noqa: ASYNC110 -- the kernel tells nobody
                await asyncio.sleep(0.05)

    return wait
