"""A keystore that does not answer for a while: 503, nothing half written, and no restart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault
from tests.fixtures.forging import Forger
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.errors import KeystoreUnavailable
from vaultq_core.server.authorities import Authorities
from vaultq_core.server.services.access import Access
from vaultq_core.server.services.crls import CrlPublisher
from vaultq_core.server.services.doctors import Addresses, DoctorsOffice
from vaultq_core.spi.signer import RemoteSigner
from vaultq_core.wire import paths
from vaultq_core.wire.api import DoctorRevoke
from vaultq_core.wire.entries import ReplaceableCa
from vaultq_core.wire.sealed_request import RecordGet, RecordList


def is_503(answer: Answer) -> bool:
    problem = answer.problem
    assert (answer.status, problem.code, problem.remedy != "") == (503, "keystore-unavailable", True), problem
    assert answer.headers["retry-after"] == str(problem.retry_after)
    return True


@pytest.fixture
def workers(vault: Vault) -> list[int]:
    """The workers before the test."""
    return vault.workers()


def test_every_request_that_needs_it_gets_503_and_works_again_after(
    vault: Vault, ada: EnrolledDoctor, workers: list[int]
) -> None:
    patient = ada.new_patient()
    stored, forger = ada.put(patient), Forger(vault, ada)
    frame = forger.frame(forger.sign(forger.manifest(patient)))
    operations = (RecordList(patient=patient, after=0, limit=10), RecordGet(record=stored.record))
    before, log = vault.holdings(), vault.log_size()

    with vault.keystore_away():
        assert is_503(forger.upload(frame))
        assert all(is_503(forger.send(forger.request(operation)[0])) for operation in operations)
        with pytest.raises(KeystoreUnavailable):
            ada.new_patient()
        assert vault.call("records", ada.tls, "GET", paths.VAULT).status == 200  # needs no key

    assert (vault.holdings(), vault.log_size()) == (before, log)
    assert forger.upload(frame).status == 201
    assert ada.get(stored.record) == b"all is well"
    assert len(ada.client.records(patient)) == 2
    assert vault.workers() == workers


def test_a_revocation_holds_at_once_when_its_lists_cannot_be_signed(vault: Vault) -> None:
    gone = vault.enrol("Dr. Gone")
    with vault.desk() as desk:
        authorities = DoctorsCaAway(desk.registry, desk.keystore, desk.keys.roots, desk.now)
        away = replace(desk, authorities=authorities)
        office = DoctorsOffice(away, CrlPublisher(away), Addresses("", "", "", ""))
        office.revoke("ad-0000000001", gone.id, DoctorRevoke(reason="left"))

        assert not Access(desk).is_active(gone.client.identity.tls_certificate)
        assert CrlPublisher(desk).is_due()
        CrlPublisher(desk).publish()  # what maintenance does when it is due
        with desk.registry.reading() as tx:
            lists = desk.registry.crls.every(tx)
        serial = gone.tls.chain[0].serial_number
        assert any(load_crl(row.der).get_revoked_certificate_by_serial_number(serial) for row in lists)


class DoctorsCaAway(Authorities):
    """Issuing CAs, one of which has its key in a token that was pulled out."""

    def signing(self, role: ReplaceableCa, certificate: x509.Certificate) -> Issuer:
        if role == "doctors":
            return Issuer(certificate, TokenInAHand(certificate))
        return super().signing(role, certificate)


class TokenInAHand(RemoteSigner):
    """A signing key whose token was pulled out."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate

    def public_key(self) -> ec.EllipticCurvePublicKey:
        public = self._certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        return public

    def sign(self, data: object, signature_algorithm: object) -> bytes:
        del data, signature_algorithm
        raise KeystoreUnavailable("the token is not there")
