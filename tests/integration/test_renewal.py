"""Certificates are renewed over the same keys at their owner's next contact, once; what was signed verifies on."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from cryptography import x509

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, running_vault, until
from tests.fixtures.renewing import contact
from tests.fixtures.still_vault import does
from tools.throwaway_vault import KeystoreName, command
from vaultq_client.admin.home import load_admin_home
from vaultq_client.bundles import read_bundle
from vaultq_client.checks import verify_bundle
from vaultq_client.client import Client
from vaultq_client.identity import keys_to_bytes
from vaultq_client.manifests import RecordDetails
from vaultq_client.source_file import file_chunks
from vaultq_client.tls import TlsIdentity
from vaultq_core.errors import CannotConnect, NotAuthenticated, Unavailable
from vaultq_core.server.services.access import Access
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.renewal import Renewals
from vaultq_core.wire import paths
from vaultq_core.wire.sealed_request import CertificatesRenew

REPLACE = ("issuing-cas", "replace", "--yes")
CLOSE = ("issuing-cas", "close", "--yes")
ELEVEN_MONTHS = dt.timedelta(days=340)
CLIENTS = 8


@pytest.fixture(params=get_args(KeystoreName))
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vault]:
    with running_vault(tmp_path / "vault", keystore=request.param, workers=2) as vault:
        yield vault


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """A vault whose keys may be opened beside those who serve."""
    with running_vault(tmp_path_factory.mktemp("vault"), workers=1) as vault:
        yield vault


def issuer_of(client: Client) -> str:
    (name,) = client.identity.tls().chain[0].issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def is_let_in(client: Client) -> bool:
    """Ask on a connection of its own, as a client that was opened before would."""
    with closing(Client(client.session.home, client.identity)) as again:
        try:
            list(again.patients())
        except (NotAuthenticated, CannotConnect):
            return False
    return True


def renewals(vault: Vault) -> Counter[str]:
    return Counter(entry["doctor"] for entry in vault.log_entries() if entry["kind"] == "certificates-renewed")


def hanging(vault: Vault) -> set[str]:
    cas = does(vault, "issuing-cas", "status")["issuing_cas"]
    return {doctor for ca in cas for doctor in ca["hanging"] if ca["role"] == "doctors"}


def cut_off(vault: Vault, doctor: EnrolledDoctor, patient: str) -> str:
    """Begin an upload that the vault does not get, and return the record's id: it waits in the outbox."""
    with doctor.reopened() as client:
        _ = client.session.view
        client.session.transport._wait = lambda _seconds: None  # noqa: SLF001 - nobody waits in a test
        vault.stop()
        with pytest.raises(Unavailable):
            client.put(doctor.file(b"on its way", "late.txt"), RecordDetails(patient=patient))
        vault.start()
        (record,) = client.outbox.records()
    return record


def verified(doctor: EnrolledDoctor, client: Client, record: str, name: str) -> str:
    """Get a record with a new bundle; return what the bundle proves without the vault."""
    content, bundle = doctor.home / f"{name}.txt", doctor.home / f"{name}.bundle"
    client.get(record, content, bundle=bundle)
    anchors = client.identity.anchors
    return verify_bundle(read_bundle(bundle), file_chunks(content), anchors, lambda *_: None).result


@pytest.mark.timeout(300)
def test_doctors_renew_at_their_next_contact_and_what_was_signed_before_verifies_on(served: Vault) -> None:
    ada, bob, gone, away = (served.enrol(name) for name in ("Dr. Ada", "Dr. Bob", "Dr. Gone", "Dr. Away"))
    patient = ada.new_patient()
    record, late = ada.put(patient).record, cut_off(served, ada, patient)
    ada.grant(patient, bob, "write")
    ada.grant(patient, away, "read")
    assert verified(ada, ada.client, record, "before") == "verified"
    served.admin.revoke(gone.id, "left")

    does(served, *REPLACE)
    until(lambda: contact(ada), "the certificates are renewed")

    with ada.reopened() as renewed:
        assert issuer_of(renewed) == "St. Elsewhere doctors CA 2"
        assert keys_to_bytes(renewed.identity.keys) == keys_to_bytes(ada.keys)
        assert [(each.record, each.problem) for each in renewed.resume()] == [(late, None)]
        second = renewed.put(ada.file(b"after"), RecordDetails(patient=patient)).record
        assert verified(ada, renewed, record, "after") == "verified"
    assert [each.record for each in bob.client.records(patient)] == [record, late, second]
    assert bob.get(second) == b"after"
    bundle = read_bundle(ada.home / "before.bundle")
    content = file_chunks(ada.home / "before.txt")
    assert verify_bundle(bundle, content, ada.client.identity.anchors, lambda *_: None).result == "verified"
    assert not is_let_in(gone.client)
    assert is_let_in(ada.client)
    assert not contact(ada)
    assert renewals(served) == {ada.id: 1}

    does(served, *REPLACE)
    until(lambda: contact(away), "who was away for two replacements is let in, and renews")
    assert [each.record for each in away.client.records(patient)] == [record, late, second]
    assert hanging(served) == {ada.id, bob.id}
    stale = cut_off(served, bob, patient)
    assert contact(ada)
    assert contact(bob)
    does(served, *CLOSE, "--role", "doctors")

    until(lambda: not is_let_in(ada.client), "what the closed CAs issued is let in no more")
    with ada.reopened() as renewed:
        assert verified(ada, renewed, second, "closed") == "verified"
        assert {each.record for each in renewed.records(patient)} == {record, late, second}
    assert not is_let_in(gone.client)
    with bob.reopened() as renewed:
        ((refused, problem),) = [(each.record, str(each.problem)) for each in renewed.resume()]
        assert (refused, "count no more" in problem) == (stale, True)
        assert {each.doctor for each in renewed.grants(patient)} == {ada.id, bob.id, away.id}


def administers(vault: Vault) -> str:
    """Run a command of the administrator that has to work; return what it says aside."""
    home, passphrase = str(vault.made.admin_home), str(vault.made.admin_passphrase_file)
    arguments = ("--home", home, "--passphrase-file", passphrase, "status", "--json")
    done = subprocess.run((command("vaultq-admin"), *arguments), capture_output=True, text=True, check=True)
    return done.stderr


def test_administrators_renew_at_their_next_command(served: Vault) -> None:
    before = served.admin_home.certificate
    assert administers(served) == ""
    does(served, *REPLACE)

    until(lambda: "was renewed" in administers(served), "the certificate is renewed")

    after = load_admin_home(served.made.admin_home).certificate
    assert (after.public_key(), after.subject) == (before.public_key(), before.subject)
    assert after.issuer != before.issuer
    assert served.admin.status().log_size  # who has the former one open goes on
    assert administers(served) == ""
    entries = [entry for entry in served.log_entries() if entry["kind"] == "administrator-renewed"]
    assert [entry["administrator"] for entry in entries] == [served.value("SELECT id FROM administrators")]
    does(served, *CLOSE)
    assert administers(served) == ""
    who = TlsIdentity((before,), served.administrator.key)
    until(lambda: is_refused(served, who), "the former certificate is let in no more")


def is_refused(vault: Vault, who: TlsIdentity) -> bool:
    try:
        return vault.call("admin", who, "GET", paths.STATUS).status == 401
    except OSError:
        return True


def ask(desk: Desk, doctor: EnrolledDoctor) -> str:
    """Ask for a renewal past all TLS; return SHA-256 of the TLS certificate that is the newest now."""
    access = Access(desk)
    caller = access.doctor(doctor.client.identity.tls_certificate)
    answer = Renewals(desk, access).doctor(caller, CertificatesRenew())
    return answer.certificates.tls.hex()


def test_who_asks_from_many_clients_at_once_gets_one_pair(vault: Vault) -> None:
    eve = vault.enrol("Dr. Eve")
    with vault.desk(ELEVEN_MONTHS) as desk, ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(lambda _: ask(desk, eve), range(CLIENTS)))

    assert len(set(answers)) == 1
    assert answers[0] != eve.client.identity.certificates.tls.hex()
    assert renewals(vault)[eve.id] == 1


def test_a_doctor_who_is_revoked_meanwhile_gets_no_new_pair(vault: Vault) -> None:
    gone = vault.enrol("Dr. Gone")
    with vault.desk(ELEVEN_MONTHS) as desk:
        access = Access(desk)
        caller = access.doctor(gone.client.identity.tls_certificate)
        vault.admin.revoke(gone.id, "left")

        with pytest.raises(NotAuthenticated):
            Renewals(desk, access).doctor(caller, CertificatesRenew())
    assert renewals(vault)[gone.id] == 0


def test_a_revocation_ends_every_pair_of_a_doctor(vault: Vault) -> None:
    gone = vault.enrol("Dr. Gone Twice")
    with vault.desk(ELEVEN_MONTHS) as desk:
        ask(desk, gone)

    vault.admin.revoke(gone.id, "left")

    states = vault.rows("SELECT status FROM certificates WHERE owner = ?", gone.id)
    assert states == [("revoked",)] * 4
    entries = [entry for entry in vault.log_entries() if entry["kind"] == "doctor-revoked"]
    assert sum(entry["doctor"] == gone.id for entry in entries) == 2
