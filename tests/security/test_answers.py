"""Every answer of every listener: problem details with code and request id on errors, security headers on all."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault, running_vault, until
from tests.fixtures.forging import Forger
from vaultq_client.tls import TlsIdentity
from vaultq_core.errors import LimitExceeded
from vaultq_core.wire import paths
from vaultq_core.wire.limits import KIB, MIB

LISTENERS = ("records", "enrolment", "admin")
JSON = {"content-type": "application/json"}
CONTENT_BYTES = 2 * MIB
NOBODY = "00000000-0000-4000-8000-000000000000"
HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """A vault that takes records of 2 MiB at most."""
    with running_vault(tmp_path_factory.mktemp("vault"), limits={"content_bytes": CONTENT_BYTES}) as running:
        yield running


@pytest.fixture
def who(vault: Vault, ada: EnrolledDoctor, listener: str) -> TlsIdentity | None:
    """Whoever may speak to the listener."""
    return {"records": ada.tls, "enrolment": None, "admin": vault.administrator}[listener]


@pytest.fixture(autouse=True)
def _nothing_changes(vault: Vault, ada: EnrolledDoctor) -> Iterator[None]:
    before, doctors = vault.holdings(), vault.rows("SELECT id, status FROM doctors ORDER BY id")
    assert ada.id in str(doctors)
    yield
    assert (vault.holdings(), vault.rows("SELECT id, status FROM doctors ORDER BY id")) == (before, doctors)


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """Whatever goes wrong is told in the one form that clients and people know."""
    problem = answer.problem
    assert (answer.status, problem.code) == (status, code), problem.detail
    assert problem.type == f"urn:vaultq:problem:{code}"
    assert problem.title
    assert problem.detail
    assert problem.remedy
    assert len(problem.request_id) == 24
    assert_headers(answer)
    for leak in ("Traceback", "site-packages", "vaultq_core/", "sqlalchemy", "litestar", "hypercorn"):
        assert leak not in answer.body.decode()


def assert_headers(answer: Answer) -> None:
    assert HEADERS.items() <= answer.headers.items()
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/records/../vault", "/schema", "/%00", "/metrics"])
def test_an_unknown_address(vault: Vault, listener: str, who: TlsIdentity | None, path: str) -> None:
    assert_problem(vault.call(listener, who, "GET", path), 404, "no-such-route")


OTHERS = [
    ("records", paths.DOCTORS),
    ("records", paths.ENROLMENTS),
    ("records", paths.STATUS),
    ("records", paths.LOG_ENTRIES),
    ("enrolment", paths.DOCTORS),
    ("enrolment", paths.RECORDS),
    ("enrolment", paths.CHECKPOINT),
    ("admin", paths.RECORDS),
    ("admin", paths.REQUESTS),
    ("admin", paths.ENROLMENTS),
]


@pytest.mark.parametrize(("listener", "path"), OTHERS)
def test_an_address_of_another_listener(vault: Vault, listener: str, who: TlsIdentity | None, path: str) -> None:
    for method in ("GET", "POST"):
        assert_problem(vault.call(listener, who, method, path, b"" if method == "POST" else None), 404, "no-such-route")


@pytest.mark.parametrize(
    ("listener", "path"), [("records", paths.VAULT), ("enrolment", paths.VAULT), ("admin", paths.STATUS)]
)
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
def test_a_method_that_is_not_allowed(
    vault: Vault, listener: str, who: TlsIdentity | None, path: str, method: str
) -> None:
    assert_problem(vault.call(listener, who, method, path, b""), 405, "method-not-allowed")


POSTS = [("enrolment", paths.ENROLMENTS), ("admin", paths.DOCTORS)]


@pytest.mark.parametrize(("listener", "path"), POSTS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b'{"unknown": 1}', b"\xff\xfe", b"[" * 5000, b'{"name": 7}', b"null", b"NaN"]
)
def test_json_that_means_nothing(vault: Vault, listener: str, who: TlsIdentity | None, path: str, body: bytes) -> None:
    assert_problem(vault.call(listener, who, "POST", path, body, JSON), 400, "malformed")


@pytest.mark.parametrize(("listener", "path"), POSTS)
@pytest.mark.parametrize("declared", [True, False])
def test_a_json_body_over_its_limit(
    vault: Vault,
    listener: str,
    who: TlsIdentity | None,
    path: str,
    declared: bool,  # noqa: FBT001 - a parameter
) -> None:
    body = b" " * (256 * KIB + 1)

    answer = vault.call(listener, who, "POST", path, body if declared else iter([body[:1000], body[1000:]]), JSON)

    assert_problem(answer, 413, "limit-exceeded")


@pytest.mark.parametrize("listener", ["records"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_sealed_request_over_its_limit(
    vault: Vault,
    who: TlsIdentity,
    declared: bool,  # noqa: FBT001 - a parameter
) -> None:
    body = b"\x00" * (64 * KIB + 1)

    answer = vault.call("records", who, "POST", paths.REQUESTS, body if declared else iter([body]))

    assert_problem(answer, 413, "limit-exceeded")


def test_an_upload_over_its_declared_limit_is_refused_before_it_is_read(vault: Vault, ada: EnrolledDoctor) -> None:
    length = CONTENT_BYTES + 64 * MIB
    head = f"POST {paths.RECORDS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"

    assert_problem(vault.raw("records", ada.tls, head.encode()), 413, "limit-exceeded")


def test_a_record_over_its_limit(vault: Vault, ada: EnrolledDoctor) -> None:
    forger, content = Forger(vault, ada), bytes(CONTENT_BYTES + 1)
    frame = forger.frame(forger.sign(forger.manifest(NOBODY, content)), content)

    assert_problem(forger.upload(frame), 413, "limit-exceeded")


def test_an_upload_of_undeclared_length_is_cut_at_its_limit(vault: Vault, ada: EnrolledDoctor) -> None:
    """What comes in chunks is counted, and refused while it still comes."""
    forger = Forger(vault, ada)
    signed = forger.sign(forger.manifest(NOBODY))
    more = iter([forger.head(signed), *[bytes(MIB)] * 12])

    try:
        answer = vault.call("records", ada.tls, "POST", paths.RECORDS, more)
    except (OSError, http.client.HTTPException):
        return  # the server closed while the rest was being sent, which many clients see as an error
    assert answer.status in {404, 413}
    assert answer.code in {"not-found", "limit-exceeded"}


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_length_beside_a_transfer_encoding_is_refused(vault: Vault, listener: str, who: TlsIdentity | None) -> None:
    """Two servers could read such a request in two ways (RFC 9112, 6.1)."""
    path = {"records": paths.REQUESTS, "enrolment": paths.ENROLMENTS, "admin": paths.DOCTORS}[listener]
    request = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )

    answer = vault.raw(listener, who, request.encode())

    assert 400 <= answer.status < 500


@pytest.mark.parametrize("listener", LISTENERS)
def test_an_answer_carries_the_security_headers(vault: Vault, listener: str, who: TlsIdentity | None) -> None:
    answer = vault.call(listener, who, "GET", {"admin": paths.STATUS}.get(listener, paths.VAULT))

    assert answer.status == 200
    assert_headers(answer)


@pytest.mark.parametrize("listener", LISTENERS)
def test_each_error_has_a_request_id_of_its_own_that_the_log_knows(
    vault: Vault, listener: str, who: TlsIdentity | None
) -> None:
    with closing(vault.connection(listener, who)) as connection:
        ids = set()
        for _ in range(3):
            connection.request("GET", "/v1/nothing")
            response = connection.getresponse()
            ids.add(json.loads(response.read())["request_id"])

    assert len(ids) == 3
    until(lambda: all(each in vault.log() for each in ids), "the log has every id")


@pytest.mark.parametrize("header", ["x-client-cert", "x-forwarded-for", "x-ssl-client-sha256", "forwarded", "x-doctor"])
def test_no_identity_comes_from_a_header(vault: Vault, ada: EnrolledDoctor, header: str) -> None:
    said = {header: ada.client.identity.tls_certificate}

    answer = vault.call("enrolment", None, "GET", f"{paths.ENROLMENTS}/{ada.id}", None, said)

    assert_problem(answer, 401, "not-authenticated")


@pytest.mark.parametrize("query", ["?limit=501", "?limit=0", "?limit=x", "?limit=-1", "?after=x", "?limit=1e3"])
def test_a_page_that_is_too_large_or_none(vault: Vault, query: str) -> None:
    assert_problem(vault.call("admin", vault.administrator, "GET", paths.LOG_ENTRIES + query), 400, "malformed")


@pytest.mark.parametrize(
    "query", ["", "?first=1", "?first=-1&second=2", "?first=2&second=1", "?first=0&second=99999999"]
)
def test_a_consistency_proof_of_nonsense(vault: Vault, ada: EnrolledDoctor, query: str) -> None:
    assert_problem(vault.call("records", ada.tls, "GET", paths.CONSISTENCY + query), 400, "malformed")


@pytest.mark.parametrize("doctor", ["..%2F..%2Fadmin", "%2e%2e", "x", "dr-0000000000%0a", "ad-0000000000"])
@pytest.mark.parametrize("step", ["issue", "reject", "revoke"])
def test_a_doctors_id_that_is_a_path(vault: Vault, doctor: str, step: str) -> None:
    body = {"issue": b'{"words":["a","b","c","d","e","f","g"]}', "reject": b"", "revoke": b'{"reason":"x"}'}[step]

    answer = vault.call("admin", vault.administrator, "POST", f"{paths.DOCTORS}/{doctor}/{step}", body, JSON)

    assert answer.status in {400, 404}
    assert_problem(answer, answer.status, {400: "malformed", 404: "no-such-route"}[answer.status])


def test_an_unknown_doctor_is_not_found(vault: Vault) -> None:
    path = f"{paths.DOCTORS}/dr-0000000000/revoke"

    assert_problem(vault.call("admin", vault.administrator, "POST", path, b'{"reason":"x"}', JSON), 404, "not-found")


def test_the_client_tells_a_record_over_its_limit(ada: EnrolledDoctor, vault: Vault) -> None:
    with pytest.raises(LimitExceeded):
        ada.put(NOBODY, bytes(CONTENT_BYTES + 1))

    assert ada.client.outbox.records() == ()
    assert vault.holdings().pending == 0
