from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import subprocess

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from tests.fixtures.edge_pki import EdgePki, Leaf
from tests.fixtures.edge_server import EdgeServer, answer, read_all, refuse, small, whoami
from tests.unit.server.conftest import Serve
from vaultq_core.errors import ConfigInvalid
from vaultq_core.server.asgi import Receive, Scope, Send
from vaultq_core.server.hypercorn_edge import install

MIB = 2**20
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def curl(server: EdgeServer, leaf: Leaf | None, *options: str) -> subprocess.CompletedProcess[str]:
    identity = ["--cert", str(server.pki.file_of(leaf))] if leaf else []
    command = ["curl", "-sS", "--cacert", str(server.pki.root_file), *identity, *options, server.url]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_another_version_of_hypercorn_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match=r"Hypercorn 0\.19\.0"):
        install("0.19.0")


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_the_app_learns_whose_certificate_was_verified(serve: Serve, pki: EdgePki, protocol: str) -> None:
    server = serve()

    assert curl(server, pki.ada, protocol).stdout == pki.ada.sha256
    assert curl(server, pki.bob, protocol).stdout == pki.bob.sha256


def test_the_app_gets_the_certificate_itself(serve: Serve, pki: EdgePki) -> None:
    async def show(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, scope["extensions"]["tls"]["client_cert_der"])

    der = serve(show).ask(pki.ada, GET + b"\r\n").partition(b"\r\n\r\n")[2]

    assert hashlib.sha256(der).hexdigest() == pki.ada.sha256


def test_a_listener_without_client_certificates_knows_nobody(serve: Serve, pki: EdgePki) -> None:
    server = serve(tls=pki.enrolment_tls())

    assert curl(server, None).stdout == "nobody"


def test_no_header_is_an_identity(serve: Serve, pki: EdgePki) -> None:
    server = serve(tls=pki.enrolment_tls())

    assert curl(server, None, "-H", f"X-Client-Cert-SHA256: {pki.ada.sha256}").stdout == "nobody"


@pytest.mark.parametrize(
    ("client", "alert"),
    [("nobody", "certificate required"), ("admin", "unknown ca"), ("revoked", "certificate revoked")],
)
def test_a_refused_client_is_told_why(serve: Serve, pki: EdgePki, client: str, alert: str) -> None:
    revoked = pki.doctors.leaf("revoked")
    tls = pki.records_tls()
    tls.swap(pki.server, pki.doctors_trust(revoked))
    server = serve(tls=tls)

    refused = curl(server, {"nobody": None, "admin": pki.admin, "revoked": revoked}[client])

    assert refused.returncode != 0
    assert alert in refused.stderr
    assert refused.stdout == ""


def test_a_connection_without_a_verified_certificate_is_aborted_even_if_tls_let_it_in(
    serve: Serve, pki: EdgePki
) -> None:
    tls = pki.records_tls()
    tls._live = pki.enrolment_tls().base  # noqa: SLF001 - as a wrong context would
    tls.base.verify_mode = ssl.CERT_NONE
    server = serve(tls=tls)

    with server.connect(None) as connection, pytest.raises((ConnectionError, ssl.SSLError)):
        _expect_end(connection)


def test_revoked_connections_end_at_once_and_the_others_stay(serve: Serve, pki: EdgePki) -> None:
    server = serve()
    connections = server.listener.connections
    with server.connect(pki.ada) as adas, server.connect(pki.bob) as bobs:
        server.until(lambda: len(connections) == 2)

        ended = server.on_loop(lambda: connections.abort_connections(lambda sha256: sha256 == pki.ada.sha256))

        assert ended == 1
        with pytest.raises((ConnectionError, ssl.SSLError)):
            _expect_end(adas)
        bobs.sendall(GET + b"\r\n")
        assert pki.bob.sha256.encode() in read_all(bobs)


def test_a_request_of_a_revoked_connection_is_cancelled(serve: Serve, pki: EdgePki) -> None:
    begun: list[bool] = []
    cancelled: list[bool] = []

    async def hang(scope: Scope, _receive: Receive, _send: Send) -> None:
        if scope["type"] == "http":
            begun.append(True)
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)

    server = serve(hang)
    connections = server.listener.connections
    with server.connect(pki.ada) as connection:
        connection.sendall(GET + b"\r\n")
        server.until(lambda: bool(begun))
        server.on_loop(lambda: connections.abort_connections(lambda _: True))

        server.until(lambda: bool(cancelled) and len(connections) == 0)


def test_what_comes_over_the_cap_of_connections_is_closed(serve: Serve, pki: EdgePki) -> None:
    server = serve(limits=small(connections_per_listener=2))
    with server.connect(pki.ada), server.connect(pki.ada):
        server.until(lambda: len(server.listener.connections) == 2)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as third, pytest.raises(ConnectionError):
            _expect_end(third)
    server.until(lambda: len(server.listener.connections) == 0)

    assert curl(server, pki.ada).stdout == pki.ada.sha256


def test_a_client_that_never_shakes_hands_is_cut_off(serve: Serve) -> None:
    server = serve(limits=small(handshake_seconds=0.2))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent, pytest.raises(ConnectionError):
        _expect_end(silent)


def test_a_connection_without_a_request_is_closed(serve: Serve, pki: EdgePki) -> None:
    server = serve(limits=small(idle_seconds=0.2))
    with server.connect(pki.ada) as idle:
        assert idle.recv(1) == b""


def test_headers_that_drip_are_cut_off(serve: Serve, pki: EdgePki) -> None:
    server = serve(limits=small(idle_seconds=0.3))
    with server.connect(pki.ada) as dripping:
        dripping.sendall(GET)
        assert dripping.recv(1) == b""


def test_content_length_beside_transfer_encoding_is_refused(serve: Serve, pki: EdgePki) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    request += b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    said = serve().ask(pki.ada, request)

    assert said.startswith(b"HTTP/1.1 400")
    assert b"urn:vaultq:problem:malformed" in said


def test_an_upgrade_to_h2c_is_refused(serve: Serve, pki: EdgePki) -> None:
    request = GET.replace(b"close", b"Upgrade, HTTP2-Settings") + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    with serve().connect(pki.ada) as connection:
        connection.sendall(request)
        said = connection.recv(65536)

    assert said.startswith(b"HTTP/1.1 400")


def test_a_websocket_is_refused(serve: Serve, pki: EdgePki) -> None:
    request = GET.replace(b"close", b"Upgrade") + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

    said = serve().ask(pki.ada, request + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 403")


def test_ten_refused_uploads_of_100_mib_leave_no_task(serve: Serve, pki: EdgePki) -> None:
    server = serve(refuse)
    tasks = server.on_loop(lambda: len(asyncio.all_tasks()))
    body = bytes(MIB)
    for _ in range(10):
        with httpx.Client(verify=pki.client(pki.ada), timeout=30) as client:
            said = client.post(server.url, content=(body for _ in range(100)))
            assert said.status_code == 403

    server.until(lambda: len(server.listener.connections) == 0)
    assert server.on_loop(lambda: len(asyncio.all_tasks())) <= tasks


def test_a_small_body_that_nobody_reads_leaves_the_connection_usable(serve: Serve, pki: EdgePki) -> None:
    server = serve(refuse)
    with httpx.Client(verify=pki.client(pki.ada), timeout=30) as client:
        for _ in range(3):
            assert client.post(server.url, content=bytes(3 * MIB)).status_code == 403
        assert len(server.listener.connections) == 1


def test_an_early_answer_on_http2_keeps_the_other_streams_alive(serve: Serve, pki: EdgePki) -> None:
    async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
        await (refuse if scope.get("path") == "/refuse" else whoami)(scope, receive, send)

    with serve(by_path).connect(pki.ada, alpn="h2") as connection:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        talk.initiate_connection()
        for stream, path in ((1, "/refuse"), (3, "/")):
            talk.send_headers(stream, _h2_request(path))
        talk.send_data(1, b"x" * 1000, end_stream=False)
        connection.sendall(talk.data_to_send())
        statuses, bodies = _h2_until_ended(connection, talk, 1, upload_to=1)
        assert statuses[1] == b"403"

        talk.send_data(3, b"y" * 1000, end_stream=True)
        connection.sendall(talk.data_to_send())
        statuses, bodies = _h2_until_ended(connection, talk, 3)

    assert statuses[3] == b"200"
    assert bodies[3].decode() == pki.ada.sha256


def _expect_end(connection: socket.socket) -> None:
    """Raise ConnectionResetError however the connection ended, but not when it answers."""
    if connection.recv(1) == b"":
        raise ConnectionResetError


def _h2_request(path: str) -> list[tuple[str, str]]:
    return [(":method", "POST"), (":path", path), (":scheme", "https"), (":authority", "localhost")]


def _h2_until_ended(
    connection: ssl.SSLSocket, talk: h2.connection.H2Connection, stream: int, upload_to: int | None = None
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Read until `stream` has ended; having its status, send `upload_to` more data and its end."""
    statuses: dict[int, bytes] = {}
    bodies: dict[int, bytes] = {}
    while True:
        for event in talk.receive_data(connection.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                statuses[event.stream_id] = dict(event.headers)[b":status"]
                if upload_to == event.stream_id:
                    talk.send_data(upload_to, b"z" * 1000, end_stream=True)
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                return statuses, bodies
            assert not isinstance(event, h2.events.ConnectionTerminated)
        connection.sendall(talk.data_to_send())
