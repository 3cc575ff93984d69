from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fixtures.edge_pki import EdgePki
from tests.unit.server.conftest import Serve
from vaultq_core.errors import ConfigInvalid, NotVerified
from vaultq_core.server.pem_file import readable_path
from vaultq_core.server.tls import ClientTrust, LiveContext, ServerIdentity, fresh_identity, server_context

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_a_revocation_reaches_the_next_handshake_without_a_restart(serve: Serve, pki: EdgePki) -> None:
    tls = pki.records_tls()
    server = serve(tls=tls)
    assert pki.ada.sha256.encode() in server.ask(pki.ada, GET)

    tls.swap(pki.server, pki.doctors_trust(pki.ada))

    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.revoked"):
        server.ask(pki.ada, b"")
    assert pki.bob.sha256.encode() in server.ask(pki.bob, GET)


def test_the_servers_certificate_can_be_renewed_without_a_restart(serve: Serve, pki: EdgePki) -> None:
    tls = pki.records_tls()
    server = serve(tls=tls)
    renewed = pki.servers.leaf("vault", server=True)

    tls.swap(ServerIdentity((renewed.certificate, pki.servers.certificate), renewed.key), pki.doctors_trust())

    with server.connect(pki.ada) as connection:
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
    assert shown == renewed.certificate


def test_the_issuing_ca_can_be_replaced_without_a_restart(serve: Serve, pki: EdgePki) -> None:
    tls = pki.records_tls()
    server = serve(tls=tls)

    tls.swap(pki.server, ClientTrust(pki.admins.certificate, pki.admins.crl()))

    assert pki.admin.sha256.encode() in server.ask(pki.admin, GET)
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        server.ask(pki.ada, b"")


def test_a_crl_of_another_ca_is_refused_and_the_old_context_stays(serve: Serve, pki: EdgePki) -> None:
    tls = pki.records_tls()
    server = serve(tls=tls)

    with pytest.raises(ConfigInvalid, match="CRL"):
        tls.swap(pki.server, ClientTrust(pki.doctors.certificate, pki.admins.crl()))

    assert pki.ada.sha256.encode() in server.ask(pki.ada, GET)


def test_a_key_of_another_certificate_is_refused(pki: EdgePki) -> None:
    with pytest.raises(ConfigInvalid):
        server_context(ServerIdentity(pki.server.chain, pki.ada.key), None)


def test_a_listener_cannot_stop_asking_for_certificates(pki: EdgePki) -> None:
    with pytest.raises(ConfigInvalid):
        pki.records_tls().swap(pki.server, None)


def test_a_session_cannot_be_resumed(serve: Serve, pki: EdgePki) -> None:
    with serve().connect(pki.ada) as connection:
        connection.sendall(GET)
        connection.recv(65536)

        assert connection.session is None or not connection.session.has_ticket


def test_nothing_older_than_tls_13_is_spoken(serve: Serve, pki: EdgePki) -> None:
    server = serve()
    old = pki.client(pki.ada)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with server.connect(pki.ada) as connection:
        assert connection.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _connect_with(old, server.port)


def test_tls_secrets_are_not_written_where_the_environment_says(
    pki: EdgePki, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path_factory.mktemp("keylog") / "keys"))

    assert pki.records_tls().base.keylog_filename is None


def test_a_fresh_identity_is_one_the_issuer_certified(serve: Serve, pki: EdgePki) -> None:
    asked: list[x509.CertificateSigningRequest] = []

    def issue(request: x509.CertificateSigningRequest) -> Sequence[x509.Certificate]:
        asked.append(request)
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return pki.servers.certify(key, "vault", server=True), pki.servers.certificate

    identity = fresh_identity(issue, ["localhost"], ["127.0.0.1"])
    server = serve(tls=LiveContext(identity, pki.doctors_trust()))

    assert asked[0].is_signature_valid
    names = asked[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert pki.ada.sha256.encode() in server.ask(pki.ada, GET)


def test_a_certificate_for_another_key_is_not_taken(pki: EdgePki) -> None:
    with pytest.raises(NotVerified):
        fresh_identity(lambda _: pki.server.chain, ["localhost"], [])


def test_the_private_key_does_not_show(pki: EdgePki) -> None:
    assert "key" not in repr(pki.server).replace("public_key", "")


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_openssl_reads_is_gone_afterwards(*, in_memory: bool) -> None:
    with readable_path(b"content", in_memory=in_memory) as path:
        assert Path(path).read_bytes() == b"content"

    assert not Path(path).exists()


def _connect_with(context: ssl.SSLContext, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        context.wrap_socket(plain, server_hostname="localhost")
