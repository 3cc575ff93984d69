from __future__ import annotations

import io

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.params import JSONBody

from tests.fixtures.edge_pki import EdgePki
from tests.fixtures.edge_server import EdgeServer
from tests.unit.server.conftest import Serve
from vaultq_core.errors import KeystoreError, NotFound, TooManyRequests
from vaultq_core.server.problems import exception_handlers
from vaultq_core.wire.limits import KIB
from vaultq_core.wire.problem import MEDIA_TYPE, Problem, decode_problem

SECRET = "a patient's name"


@get("/ok")
async def ok() -> str:
    return "ok"


@get("/missing")
async def missing() -> None:
    raise NotFound("no record r1")


@get("/busy")
async def busy() -> None:
    raise TooManyRequests("too many", retry_after=7)


@get("/keystore")
async def keystore() -> None:
    raise KeystoreError("slot 3 has lost its token")


@get("/broken")
async def broken() -> None:
    raise ValueError(SECRET)


@post("/numbers", request_max_body_size=KIB)
async def numbers(data: JSONBody[list[int]]) -> int:
    return sum(data)


@pytest.fixture
def toy(serve: Serve) -> EdgeServer:
    routes = [ok, missing, busy, keystore, broken, numbers]
    return serve(Litestar(routes, exception_handlers=exception_handlers(), openapi_config=None, logging_config=None))


@pytest.fixture
def client(toy: EdgeServer, pki: EdgePki) -> httpx.Client:
    return httpx.Client(verify=pki.client(pki.ada), base_url=toy.url, timeout=30)


def problem(said: httpx.Response) -> Problem:
    assert said.headers["content-type"] == MEDIA_TYPE
    found = decode_problem(said.content)
    assert found.status == said.status_code
    assert found.request_id == said.headers["x-request-id"]
    return found


def test_every_answer_has_an_id_of_its_own_and_the_security_headers(client: httpx.Client) -> None:
    with client:
        first, second = client.get("/ok"), client.get("/missing")

    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    for said in (first, second):
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in said.headers["content-security-policy"]
        assert "server" not in said.headers


def test_an_error_of_ours_keeps_its_code_and_advice(client: httpx.Client) -> None:
    with client:
        found = problem(client.get("/missing"))

    assert (found.status, found.code, found.detail) == (404, "not-found", "no record r1")
    assert found.remedy == NotFound.advice


def test_when_to_come_back_stands_in_header_and_body(client: httpx.Client) -> None:
    with client:
        said = client.get("/busy")

    assert said.headers["retry-after"] == "7"
    assert problem(said).retry_after == 7


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", b"", 404, "no-such-route"),
        ("DELETE", "/ok", b"", 405, "method-not-allowed"),
        ("POST", "/numbers", b"[" + b"1," * KIB + b"1]", 413, "limit-exceeded"),
        ("POST", "/numbers", b'["one"]', 400, "malformed"),
        ("POST", "/numbers", b"not JSON", 400, "malformed"),
    ],
)
def test_the_frameworks_own_refusals_are_problems_too(
    client: httpx.Client, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    with client:
        found = problem(client.request(method, path, content=body, headers={"content-type": "application/json"}))

    assert (found.status, found.code) == (status, code)


def test_an_unexpected_error_tells_the_client_nothing_and_the_log_where(client: httpx.Client, log: io.StringIO) -> None:
    with client:
        said = client.get("/broken")
    found = problem(said)
    logged = log.getvalue()

    assert (found.status, found.code) == (500, "internal-error")
    assert SECRET not in said.text
    assert SECRET not in logged
    assert "ValueError" in logged
    assert found.request_id in logged


def test_the_keystores_insides_stay_inside(client: httpx.Client) -> None:
    with client:
        found = problem(client.get("/keystore"))

    assert (found.status, found.code) == (500, "keystore-error")
    assert "slot" not in found.detail
