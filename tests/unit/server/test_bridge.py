from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.edge_server import EdgeServer, answer, small
from tests.unit.server.conftest import Serve
from vaultq_core.errors import NotPermitted, Unavailable, VaultQError
from vaultq_core.server.asgi import Receive, Scope, Send
from vaultq_core.server.bridge import CHUNK_BYTES, DEPTH, start_download, upload
from vaultq_core.server.pools import Pool
from vaultq_core.wire.problem import decode_problem

MIB = 2**20
LIMIT = 64 * MIB


class Toy:
    """An app with an upload at POST and a download at GET, and what their threads saw."""

    def __init__(self, *, limit: int = LIMIT, threads: int = 4) -> None:
        self.pool = Pool("stream", threads)
        self.limit = limit
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.sizes: list[int] = []
        self.error: BaseException | None = None
        self.made = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            digest = await upload(self.pool, scope, receive, limit=self.limit, work=getattr(self, scope["path"][1:]))
            await answer(send, digest.encode())
        else:
            download = await start_download(self.pool, getattr(self, scope["path"][1:]))
            await download.answer({"Content-Type": "application/octet-stream"})(scope, receive, send)

    def hash(self, chunks: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        try:
            for chunk in chunks:
                self.begun.set()
                self.sizes.append(len(chunk))
                digest.update(chunk)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()
        return digest.hexdigest()

    def wait(self, chunks: Iterator[bytes]) -> str:
        self.begun.set()
        self.go_on.wait(30)
        return self.hash(chunks)

    def refuse(self, chunks: Iterator[bytes]) -> str:
        next(chunks)
        raise NotPermitted("not you")

    def pour(self) -> Iterator[bytes]:
        try:
            for _ in range(1000):
                self.made += 1
                yield bytes(CHUNK_BYTES)
        finally:
            self.ended.set()

    def crumbs(self) -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"crumb"

    def damaged(self) -> Iterator[bytes]:
        yield from (self._broken_piece() for _ in range(2))

    def _broken_piece(self) -> bytes:
        raise NotPermitted("damaged in the first chunk")

    def nothing(self) -> Iterator[bytes]:
        return iter(())


def client(server: EdgeServer, pki: EdgePki) -> httpx.Client:
    return httpx.Client(verify=pki.client(pki.ada), base_url=server.url, timeout=30)


def test_a_body_reaches_the_thread_whole_and_in_large_chunks(serve: Serve, pki: EdgePki) -> None:
    toy = Toy()
    body = bytes(range(256)) * (20 * MIB // 256)
    with client(serve(toy), pki) as doctor:
        said = doctor.post("/hash", content=body)

    assert said.text == hashlib.sha256(body).hexdigest()
    assert min(toy.sizes[:-1]) >= CHUNK_BYTES


def test_a_slow_thread_holds_the_client_back(serve: Serve, pki: EdgePki) -> None:
    toy = Toy()
    with serve(toy).connect(pki.ada) as connection:
        connection.sendall(b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\n")
        assert toy.begun.wait(20)
        connection.settimeout(1)

        with pytest.raises(TimeoutError):  # sockets and the bridge hold some MiB of them
            connection.sendall(bytes(40 * MIB))
        toy.go_on.set()


def test_a_client_that_goes_away_ends_the_work_with_an_error_of_ours(serve: Serve, pki: EdgePki) -> None:
    toy = Toy()
    server = serve(toy)
    with server.connect(pki.ada) as connection:
        connection.sendall(b"POST /hash HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + bytes(MIB))
        assert toy.begun.wait(20)

    assert toy.ended.wait(20)
    assert isinstance(toy.error, VaultQError)
    server.until(lambda: toy.pool.busy == 0)


def test_an_aborted_connection_ends_the_work(serve: Serve, pki: EdgePki) -> None:
    toy = Toy()
    server = serve(toy)
    with server.connect(pki.ada) as connection:
        connection.sendall(b"POST /hash HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + bytes(MIB))
        assert toy.begun.wait(20)
        server.on_loop(lambda: server.listener.connections.abort_connections(lambda _: True))

        assert toy.ended.wait(20)
    assert isinstance(toy.error, Unavailable)


def test_a_declared_length_over_the_limit_is_refused_before_a_thread_is_taken(serve: Serve, pki: EdgePki) -> None:
    toy = Toy(limit=1000)
    with client(serve(toy), pki) as doctor:
        said = doctor.post("/hash", content=bytes(1001))

    assert (said.status_code, decode_problem(said.content).code) == (413, "limit-exceeded")
    assert not toy.ended.is_set()


def test_a_body_of_undeclared_length_is_counted(serve: Serve, pki: EdgePki) -> None:
    toy = Toy(limit=MIB)
    with client(serve(toy), pki) as doctor:
        said = doctor.post("/hash", content=(bytes(MIB) for _ in range(3)))

    assert said.status_code == 413
    assert toy.ended.wait(20)
    assert isinstance(toy.error, VaultQError)


def test_work_that_ends_early_answers_early(serve: Serve, pki: EdgePki) -> None:
    with serve(Toy()).connect(pki.ada) as connection:
        connection.sendall(b"POST /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + bytes(MIB))

        assert connection.recv(65536).startswith(b"HTTP/1.1 403")


def test_a_full_pool_answers_503(serve: Serve, pki: EdgePki) -> None:
    toy = Toy(threads=1)
    server = serve(toy)
    with client(server, pki) as ada, client(server, pki) as bob:
        holding = threading.Thread(target=lambda: ada.post("/wait", content=b"x"))
        holding.start()
        assert toy.begun.wait(20)

        said = bob.post("/hash", content=b"y")

        toy.go_on.set()
        holding.join(20)
    assert (said.status_code, said.headers["retry-after"]) == (503, "2")
    assert decode_problem(said.content).code == "unavailable"


def test_a_download_comes_whole(serve: Serve, pki: EdgePki) -> None:
    with client(serve(Toy()), pki) as doctor:
        assert doctor.get("/crumbs").content == b"crumb" * 10_000
        assert doctor.get("/nothing").content == b""


def test_what_fails_before_the_first_chunk_is_a_problem(serve: Serve, pki: EdgePki) -> None:
    with client(serve(Toy()), pki) as doctor:
        said = doctor.get("/damaged")

    assert decode_problem(said.content).code == "not-permitted"


def test_a_download_that_nobody_takes_waits_and_is_then_closed(serve: Serve, pki: EdgePki) -> None:
    toy = Toy()
    server = serve(toy, limits=small(stall_seconds=0.5))
    with server.connect(pki.ada) as lazy:
        lazy.sendall(b"GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert lazy.recv(1)
        assert toy.ended.wait(20)

    assert toy.made < 100 + DEPTH  # sockets buffer some MiB of the 250
    server.until(lambda: toy.pool.busy == 0)
