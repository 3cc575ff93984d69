"""A doctors CA was replaced: what the former one certified verifies on, and nothing more than that."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import msgspec
import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault
from tests.unit.client.test_checks import CONTENT, bundle_of, check
from vaultq_client.revocations import crls_of
from vaultq_client.vault_view import VaultView, verify_vault
from vaultq_core.crypto.chains import Revocation, verify_doctor
from vaultq_core.crypto.revocation import RevokedCertificate, sign_crl
from vaultq_core.crypto.x509_profile import der
from vaultq_core.errors import CannotVerify, NotVerified
from vaultq_core.wire.api import VaultInfo
from vaultq_core.wire.statements import VaultStatement

HOUR = dt.timedelta(hours=1)
YEAR = dt.timedelta(days=365)


@pytest.fixture(scope="module")
def renewed(hospital: Hospital) -> Hospital:
    """The hospital after both CAs that matter to doctors were replaced."""
    return hospital.with_new_doctors_ca("St. Elsewhere doctors CA 2").with_new_servers_ca("St. Elsewhere servers CA 2")


@pytest.fixture
def info(renewed: Hospital, ada: Doctor) -> VaultInfo:
    return SmallVault(renewed, ada, renewed.vault_keys()).info()


def view_of(info: VaultInfo, hospital: Hospital, at: dt.datetime | None = None) -> VaultView:
    return verify_vault(info, hospital.trust.anchors, at=at or hospital.now, lowest_version=0)


def test_what_a_vault_without_former_cas_says_of_itself_has_not_changed(hospital: Hospital, ada: Doctor) -> None:
    info = SmallVault(hospital, ada, hospital.vault_keys()).info()

    assert b"former" not in msgspec.json.encode(info)


def test_a_doctor_of_the_former_ca_and_one_of_the_present_one_verify(
    renewed: Hospital, info: VaultInfo, ada: Doctor
) -> None:
    trust, present = view_of(info, renewed).trust, renewed.employ("Dr. Ada Lovelace")

    former = verify_doctor(ada.pair, trust, renewed.now)

    assert former.key == verify_doctor(present.pair, trust, renewed.now).key


def test_a_former_ca_of_another_hospital_is_refused(
    renewed: Hospital, info: VaultInfo, other_hospital: Hospital
) -> None:
    foreign = (der(other_hospital.doctors.certificate),)

    with pytest.raises(NotVerified, match=r"step 2.*step 4"):
        view_of(msgspec.structs.replace(info, former=foreign), renewed)


def test_a_former_ca_without_its_revocation_list_cannot_be_used(renewed: Hospital, info: VaultInfo) -> None:
    others = crls_of((renewed.pq.certificate, renewed.doctors.certificate), info.crls)

    with pytest.raises(CannotVerify, match="step 3"):
        view_of(msgspec.structs.replace(info, crls=others), renewed)


def test_a_root_that_revokes_a_former_ca_ends_it(renewed: Hospital, hospital: Hospital, info: VaultInfo) -> None:
    row = RevokedCertificate(hospital.doctors.certificate.serial_number, Revocation(renewed.now, None))
    ended = sign_crl(renewed.hospital_root, [row], number=1, now=renewed.now)

    with pytest.raises(NotVerified, match="revoked an issuing CA"):
        view_of(msgspec.structs.replace(info, crls=(*info.crls, ended)), renewed)


def test_a_statement_by_a_former_servers_ca_is_refused(hospital: Hospital, renewed: Hospital, info: VaultInfo) -> None:
    former = hospital.vault_keys().signed

    with pytest.raises(NotVerified, match=r"step 4.*step 2"):
        view_of(msgspec.structs.replace(info, statement=former), renewed)


def test_the_last_list_of_a_closed_ca_counts_after_a_year_and_after_the_ca(
    hospital: Hospital, renewed: Hospital, ada: Doctor, info: VaultInfo
) -> None:
    last = sign_crl(hospital.doctors, [], number=9, now=hospital.now, last=True)
    later = replace(renewed, now=renewed.now + YEAR, former=())
    lists = SmallVault(later, ada, later.vault_keys()).info().crls
    signed = later.vault_keys().signed

    said = msgspec.structs.replace(info, crls=(*lists, last), statement=signed)

    assert view_of(said, later).trust.former == (hospital.doctors.certificate,)


def test_a_bundle_made_after_the_replacement_holds_the_ca_that_certified_its_author(
    hospital: Hospital, renewed: Hospital, ada: Doctor
) -> None:
    bundle = bundle_of(renewed, ada)

    assert bundle.issuing.doctors == der(hospital.doctors.certificate)
    assert check(bundle, renewed).result == "verified"


def test_a_bundle_of_a_record_that_is_older_than_the_servers_ca_verifies(hospital: Hospital) -> None:
    later = replace(hospital, now=hospital.now + YEAR / 2).with_new_servers_ca("St. Elsewhere servers CA 2")
    author = hospital.employ("Dr. Ada Lovelace")
    old = bundle_of(hospital, author)
    bundle = msgspec.structs.replace(
        old,
        issuing=msgspec.structs.replace(old.issuing, servers=der(later.servers.certificate)),
        statement=later.sign_statement(replace_times(hospital, later)),
    )

    assert check(bundle, hospital).result == "verified"


def test_a_record_logged_after_the_former_ca_was_closed_is_refused(
    hospital: Hospital, renewed: Hospital, ada: Doctor
) -> None:
    row = RevokedCertificate(ada.tls.serial_number, Revocation(hospital.now - HOUR, None))
    last = sign_crl(hospital.doctors, [row], number=9, now=hospital.now - HOUR, last=True)
    bundle = bundle_of(renewed, ada)

    with pytest.raises(NotVerified, match=r"step 5.*revoked"):
        check(msgspec.structs.replace(bundle, crls=(bundle.crls[0], last)), renewed, CONTENT)


def replace_times(hospital: Hospital, later: Hospital) -> VaultStatement:
    created = int(later.now.timestamp())
    return msgspec.structs.replace(hospital.vault_keys().statement, created=created, expires=created + 86_400)
