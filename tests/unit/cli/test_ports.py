from __future__ import annotations

import os
import socket

import pytest

from riad.cli import ports
from riad.kernel.faults import Fault


def test_a_taken_port_names_its_holder_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Fault) as caught:
            ports.require_free(port)
    assert f"port {port} is taken by" in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message
    assert f"RIAD_PORT={port + 1}" in caught.value.message


def test_a_free_port_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ports.require_free(port)
