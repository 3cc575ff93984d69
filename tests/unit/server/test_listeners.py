from __future__ import annotations

import socket
import threading

import pytest

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.edge_server import answer
from tests.unit.server.conftest import Serve
from vaultq_core.errors import AddressInUse, ConfigInvalid
from vaultq_core.server.asgi import Receive, Scope, Send
from vaultq_core.server.config import Address
from vaultq_core.server.listeners import address_of, bind_listener

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_taken_address_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(AddressInUse, match=f"admin listener's address 127.0.0.1:{port} is taken"):
            bind_listener("admin", Address("127.0.0.1", port))


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="records listener"):
        bind_listener("records", Address("192.0.2.1", 0))


def test_port_0_takes_a_free_one_and_says_which() -> None:
    with bind_listener("records", Address("127.0.0.1", 0)) as listening:
        assert address_of(listening) == f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_running_request_is_finished_before_the_stop(serve: Serve, pki: EdgePki) -> None:
    begun = threading.Event()

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            begun.set()
            await server.stop.wait()
            await answer(send, b"finished")

    server = serve(slow)
    with server.connect(pki.ada) as connection:
        connection.sendall(GET)
        assert begun.wait(20)
        server.loop.call_soon_threadsafe(server.stop.set)

        said = connection.recv(65536)
        while not said.endswith(b"finished"):
            said += connection.recv(65536)


def test_an_idle_connection_does_not_hold_up_the_stop(serve: Serve, pki: EdgePki) -> None:
    server = serve()
    with server.connect(pki.ada) as idle:
        server.until(lambda: len(server.listener.connections) == 1)
        server.loop.call_soon_threadsafe(server.stop.set)

        assert idle.recv(1) == b""
