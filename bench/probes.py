"""What `engine_rows` lets run inside networks: prints one number. `serve` and `swallow` go on in the background.

probes.py serve PORT | ask HOST PORT TIMES | swallow PORT | send HOST PORT MIB
"""

from __future__ import annotations

import os
import socket
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def _background(port: int) -> socket.socket:
    """Returns in a process that nobody waits for, listening on `port`; the first process says 0 and ends."""
    listening = socket.create_server(("", port), backlog=128)
    sys.stdout.write("0\n")
    sys.stdout.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    return listening


def serve(port: str) -> None:
    """Answers every connection's request with "ok"."""
    listening = _background(int(port))
    while True:
        talk, _ = listening.accept()
        with talk:
            talk.recv(4096)
            talk.sendall(_ANSWER)


def ask(host: str, port: str, times: str) -> None:
    """Milliseconds of one request on a connection of its own, the mean of `times`."""
    begin = time.perf_counter()
    for _ in range(int(times)):
        with socket.create_connection((host, int(port)), timeout=20) as talk:
            talk.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            said = b""
            while data := talk.recv(4096):
                said += data
        if not said.endswith(b"ok"):
            sys.exit(f"answered {said!r}")
    print((time.perf_counter() - begin) * 1000 / int(times))


def swallow(port: str) -> None:
    """Reads what comes, says one byte at the end of it."""
    listening = _background(int(port))
    room = bytearray(1 << 20)
    while True:
        talk, _ = listening.accept()
        with talk:
            while talk.recv_into(room):
                pass
            talk.sendall(b".")


def send(host: str, port: str, mebibytes: str) -> None:
    """MiB a second, until the other side has read all."""
    block = bytes(1 << 20)
    with socket.create_connection((host, int(port)), timeout=60) as talk:
        begin = time.perf_counter()
        for _ in range(int(mebibytes)):
            talk.sendall(block)
        talk.shutdown(socket.SHUT_WR)
        talk.recv(1)
        print(int(mebibytes) / (time.perf_counter() - begin))


if __name__ == "__main__":
    {"serve": serve, "ask": ask, "swallow": swallow, "send": send}[sys.argv[1]](*sys.argv[2:])
