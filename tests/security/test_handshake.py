"""Who may not speak is refused in the handshake, before a byte of any request is read (promise 1)."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, ask, until
from tests.fixtures.forging import StolenCa, refused_by, refused_handshake, tls_identity
from tests.fixtures.hospital import Administrator, Doctor
from vaultq_client.manifests import RecordDetails
from vaultq_core.crypto.issuing import issue_administrator, issue_server
from vaultq_core.crypto.keys import generate_p256, generate_signing_keys
from vaultq_core.errors import CannotConnect
from vaultq_core.server.services.doctor_units import Revoke
from vaultq_core.wire import paths
from vaultq_core.wire.api import DoctorRevoke

YEARS_AGO = dt.timedelta(days=800)
MUTUAL = ("records", "admin")
REVOKED_SECONDS = 10.0  # the promise is one second; a busy machine may be late


@pytest.fixture
def nothing_read(vault: Vault) -> Iterator[None]:
    """A refused connection has changed nothing, and was not even read as a request."""
    before, lines = vault.holdings(), vault.log().count('"event": "request"')
    yield
    assert vault.holdings() == before
    assert vault.log().count('"event": "request"') == lines


@pytest.mark.usefixtures("nothing_read")
@pytest.mark.parametrize("listener", MUTUAL)
def test_no_client_certificate_is_refused(vault: Vault, listener: str) -> None:
    assert "certificate required" in refused_handshake(vault, listener, None)


@pytest.mark.usefixtures("nothing_read")
@pytest.mark.parametrize("listener", MUTUAL)
def test_a_certificate_of_another_hospitals_ca_is_refused(
    vault: Vault, listener: str, stranger: Doctor, administrator: Administrator
) -> None:
    foreign = {
        "records": tls_identity(stranger.tls, stranger.keys.tls),
        "admin": tls_identity(administrator.certificate, administrator.key),
    }

    assert "unknown ca" in refused_handshake(vault, listener, foreign[listener])


@pytest.mark.usefixtures("nothing_read")
def test_an_administrators_certificate_is_refused_by_the_records_listener(vault: Vault) -> None:
    assert "unknown ca" in refused_handshake(vault, "records", vault.administrator)


@pytest.mark.usefixtures("nothing_read")
def test_a_doctors_certificate_is_refused_by_the_admin_listener(vault: Vault, ada: EnrolledDoctor) -> None:
    assert "unknown ca" in refused_handshake(vault, "admin", ada.tls)


@pytest.mark.usefixtures("nothing_read")
@pytest.mark.parametrize("listener", MUTUAL)
def test_a_servers_certificate_is_refused_as_a_clients(vault: Vault, listener: str) -> None:
    key = generate_p256()
    with vault.desk() as desk:
        certificate = issue_server(["localhost"], [], key.public_key(), desk.authorities.issuer("servers"), desk.now())

    assert "unknown ca" in refused_handshake(vault, listener, tls_identity(certificate, key))


@pytest.mark.usefixtures("nothing_read")
def test_a_server_certificate_by_the_doctors_ca_is_refused_for_its_purpose(vault: Vault) -> None:
    key = generate_p256()
    with vault.desk() as desk:
        certificate = issue_server(["localhost"], [], key.public_key(), desk.authorities.issuer("doctors"), desk.now())

    assert "certificate" in refused_handshake(vault, "records", tls_identity(certificate, key))


@pytest.mark.usefixtures("nothing_read")
def test_an_expired_doctors_certificate_is_refused(vault: Vault, ada: EnrolledDoctor) -> None:
    with vault.desk() as desk:
        _, expired = StolenCa(desk).pair(ada.id, ada.keys.signing, desk.now() - YEARS_AGO)

    assert "certificate expired" in refused_handshake(vault, "records", expired)


@pytest.mark.usefixtures("nothing_read")
def test_an_expired_administrators_certificate_is_refused(vault: Vault) -> None:
    key = generate_p256()
    with vault.desk() as desk:
        expired = issue_administrator(
            "ad-0000000001", "Old", key.public_key(), desk.authorities.issuer("admins"), desk.now() - YEARS_AGO
        )

    assert "certificate expired" in refused_handshake(vault, "admin", tls_identity(expired, key))


@pytest.mark.usefixtures("nothing_read")
@pytest.mark.parametrize("listener", ["records", "enrolment", "admin"])
def test_tls_1_2_is_refused(vault: Vault, listener: str, ada: EnrolledDoctor) -> None:
    context = vault.context({"records": ada.tls, "enrolment": None, "admin": vault.administrator}[listener])
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError, match=r"(?i)protocol version|unsupported protocol"):
        vault.connect(listener, None, context)


@pytest.mark.usefixtures("nothing_read")
@pytest.mark.parametrize("listener", ["records", "enrolment", "admin"])
def test_plain_http_is_not_answered(vault: Vault, listener: str) -> None:
    with socket.create_connection(("127.0.0.1", vault.made.ports[listener]), timeout=20) as plain:
        plain.sendall(b"GET /v1/vault HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answered = plain.recv(1024)

    assert b"HTTP" not in answered


def test_a_session_is_never_resumed(vault: Vault, ada: EnrolledDoctor) -> None:
    """A resumed session is not asked for its certificate again, and so would outlive a revocation."""
    context = vault.context(ada.tls)
    with vault.connect("records", None, context) as connection:
        connection.sendall(b"GET /v1/vault HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(65536)
        session = connection.session

    assert session is None or not session.has_ticket


def test_a_certificate_that_a_stolen_ca_made_is_not_known_to_the_registry(vault: Vault, ada: EnrolledDoctor) -> None:
    before = vault.holdings()
    with vault.desk() as desk:
        _, forged = StolenCa(desk).pair(ada.id, generate_signing_keys())
    calls = (("GET", paths.VAULT), ("GET", paths.CHECKPOINT), ("POST", paths.RECORDS), ("POST", paths.REQUESTS))

    answers = [vault.call("records", forged, method, path, b"" if method == "POST" else None) for method, path in calls]

    assert [(answer.status, answer.code) for answer in answers] == [(401, "not-authenticated")] * len(calls)
    assert vault.holdings() == before


def test_an_administrator_whom_a_stolen_ca_made_is_not_known_to_the_registry(vault: Vault) -> None:
    key, before = generate_p256(), vault.holdings()
    with vault.desk() as desk:
        known = vault.value("SELECT id FROM administrators")
        forged = issue_administrator(
            known, "Grace Hopper", key.public_key(), desk.authorities.issuer("admins"), desk.now()
        )
    who, doctors = tls_identity(forged, key), vault.rows("SELECT id FROM doctors")
    calls = (("GET", paths.DOCTORS), ("GET", paths.STATUS), ("GET", paths.LOG_ENTRIES), ("POST", paths.DOCTORS))

    answers = [
        vault.call("admin", who, method, path, b'{"name":"Dr. Evil"}' if method == "POST" else None)
        for method, path in calls
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(401, "not-authenticated")] * len(calls)
    assert (vault.holdings(), vault.rows("SELECT id FROM doctors")) == (before, doctors)


def test_a_revoked_doctor_is_refused_at_the_next_request_of_an_open_connection(vault: Vault) -> None:
    """The registry alone refuses: no new revocation list is out, and hardly a worker has looked at the epoch."""
    carol, before = vault.enrol("Dr. Carol"), vault.holdings()
    with closing(vault.connection("records", carol.tls)) as connection, vault.desk() as desk:
        assert ask(connection, "GET", paths.VAULT).status == 200
        who = vault.value("SELECT id FROM administrators")
        desk.committer.commit(Revoke(desk, who, carol.id, DoctorRevoke(reason="laptop lost")))
        refused = _is_refused(connection)

    assert refused
    assert vault.holdings() == before


def test_a_revocation_ends_open_connections_and_later_handshakes(vault: Vault, ada: EnrolledDoctor) -> None:
    dora = vault.enrol("Dr. Dora")
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(vault.connect("records", dora.tls)) for _ in range(8)]
        others = [open_ones.enter_context(closing(vault.connection("records", ada.tls))) for _ in range(4)]
        for connection in connections:
            connection.sendall(b"GET /v1/vault HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert {ask(other, "GET", paths.VAULT).status for other in others} == {200}

        vault.admin.revoke(dora.id, "laptop lost")

        for connection in connections:
            connection.settimeout(REVOKED_SECONDS)
            assert _ended(connection)
        assert {ask(other, "GET", paths.VAULT).status for other in others} == {200}, "somebody else was cut off"
    until(lambda: _is_revoked_for_both_workers(vault, dora), "the CRL reaches every worker")
    with pytest.raises(CannotConnect), dora.reopened() as client:
        client.put(dora.file(b"too late"), RecordDetails(patient=ada.new_patient()))


def _is_refused(connection: http.client.HTTPSConnection) -> bool:
    try:
        answer = ask(connection, "GET", paths.VAULT)
    except (OSError, http.client.HTTPException):
        return True  # a worker was faster, and has ended the connection
    return (answer.status, answer.code) == (401, "not-authenticated")


def _ended(connection: ssl.SSLSocket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _is_revoked_for_both_workers(vault: Vault, doctor: EnrolledDoctor) -> bool:
    def alert() -> str:
        try:
            return refused_by("records", vault.connect("records", doctor.tls))
        except AssertionError:
            return ""

    return all("certificate revoked" in alert() for _ in range(8))
