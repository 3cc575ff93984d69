from __future__ import annotations

import io

import httpx
import pytest

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.edge_server import answer, small
from tests.unit.server.conftest import Serve
from vaultq_core.server.asgi import Receive, Scope, Send
from vaultq_core.wire.problem import decode_problem

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"


def test_a_body_that_stalls_is_answered_with_too_slow_and_ended(serve: Serve, pki: EdgePki) -> None:
    server = serve(limits=small(stall_seconds=0.3))

    said = server.ask(pki.ada, POST + b"only this")

    assert said.startswith(b"HTTP/1.1 408")
    assert decode_problem(said.partition(b"\r\n\r\n")[2]).code == "too-slow"


def test_a_body_that_drips_is_ended(serve: Serve, pki: EdgePki) -> None:
    server = serve(limits=small(stall_seconds=0.5, upload_bytes_per_second=10_000))
    with server.connect(pki.ada) as dripping:
        dripping.sendall(POST)
        dripping.settimeout(0.05)
        said = b""
        for _ in range(400):  # a byte at a time never stalls
            dripping.sendall(b"x")
            try:
                said = dripping.recv(65536)
                break
            except TimeoutError:
                continue

    assert said.startswith(b"HTTP/1.1 408")


def test_an_answer_that_nobody_takes_is_ended(serve: Serve, pki: EdgePki) -> None:
    async def pour(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})

    server = serve(pour, limits=small(stall_seconds=0.3))
    with server.connect(pki.ada) as lazy:
        lazy.sendall(POST)
        server.until(lambda: len(server.listener.connections) == 1)
        server.until(lambda: len(server.listener.connections) == 0)


def test_an_answer_that_breaks_off_is_not_taken_for_whole(serve: Serve, pki: EdgePki, log: io.StringIO) -> None:
    async def break_off(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError

    server = serve(break_off)
    with httpx.Client(verify=pki.client(pki.ada)) as client, pytest.raises(httpx.TransportError):
        client.get(server.url)
    assert "RuntimeError" in log.getvalue()


def test_an_answer_is_whole_when_the_client_keeps_sending(serve: Serve, pki: EdgePki) -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await receive()
            await answer(send, b"early", 409)

    with serve(early).connect(pki.ada) as connection:
        connection.sendall(POST + bytes(1_000_000))
        said = connection.recv(65536)
        while not said.endswith(b"early"):
            said += connection.recv(65536)

    assert said.startswith(b"HTTP/1.1 409")
