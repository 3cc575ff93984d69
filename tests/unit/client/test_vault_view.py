from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault
from vaultq_client.vault_view import Pins, verify_roots, verify_vault
from vaultq_core.crypto.chains import Revocation
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.revocation import RevokedCertificate, sign_crl
from vaultq_core.errors import CannotVerify, NotVerified
from vaultq_core.wire.api import VaultInfo


@pytest.fixture
def honest(hospital: Hospital, ada: Doctor) -> VaultInfo:
    return SmallVault(hospital, ada, hospital.vault_keys()).info()


@pytest.fixture
def foreign(other_hospital: Hospital, stranger: Doctor) -> VaultInfo:
    return SmallVault(other_hospital, stranger, other_hospital.vault_keys()).info()


def pins(info: VaultInfo) -> Pins:
    return Pins(sha256_hex(info.roots.hospital), sha256_hex(info.roots.pq))


def check(info: VaultInfo, hospital: Hospital, *, at: dt.datetime | None = None, lowest: int = 0) -> None:
    verify_vault(info, hospital.trust.anchors, at=at or hospital.now, lowest_version=lowest)


def test_the_pinned_roots_are_taken(honest: VaultInfo, hospital: Hospital) -> None:
    assert verify_roots(honest.roots, pins(honest)) == hospital.trust.anchors


@pytest.mark.parametrize(("root", "number"), [("hospital", 1), ("pq", 2)])
def test_another_root_than_the_pinned_one_is_refused(
    honest: VaultInfo, foreign: VaultInfo, root: str, number: int
) -> None:
    roots = msgspec.structs.replace(honest.roots, **{root: getattr(foreign.roots, root)})

    with pytest.raises(NotVerified, match=f"step {number}"):
        verify_roots(roots, pins(honest))


def test_an_honest_vault_is_verified(honest: VaultInfo, hospital: Hospital) -> None:
    view = verify_vault(honest, hospital.trust.anchors, at=hospital.now, lowest_version=1)

    assert (view.statement.vault, view.checkpoint.size) == (hospital.vault, 1)


def test_another_vault_is_refused_at_step_1(foreign: VaultInfo, hospital: Hospital) -> None:
    with pytest.raises(NotVerified, match="step 1"):
        check(foreign, hospital)


@pytest.mark.parametrize("part", ["pq", "doctors", "servers"])
def test_a_foreign_issuing_ca_is_refused_at_step_2(
    honest: VaultInfo, foreign: VaultInfo, hospital: Hospital, part: str
) -> None:
    issuing = msgspec.structs.replace(honest.issuing, **{part: getattr(foreign.issuing, part)})

    with pytest.raises(NotVerified, match="step 2"):
        check(msgspec.structs.replace(honest, issuing=issuing), hospital)


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_revocation_list_that_is_held_back_cannot_be_verified(
    honest: VaultInfo, hospital: Hospital, left_out: int
) -> None:
    with pytest.raises(CannotVerify, match="step 3"):
        check(msgspec.structs.replace(honest, crls=(honest.crls[1 - left_out],)), hospital)


def test_a_revocation_list_that_has_ended_cannot_be_verified(honest: VaultInfo, hospital: Hospital) -> None:
    with pytest.raises(CannotVerify, match="step 3"):
        check(honest, hospital, at=hospital.now + dt.timedelta(days=8))


def test_an_issuing_ca_that_its_root_revoked_is_refused(honest: VaultInfo, hospital: Hospital) -> None:
    row = RevokedCertificate(hospital.doctors.certificate.serial_number, Revocation(hospital.now, None))
    crl = sign_crl(hospital.hospital_root, [row], number=1, now=hospital.now)

    with pytest.raises(NotVerified, match="revoked an issuing CA"):
        check(msgspec.structs.replace(honest, crls=(*honest.crls, crl)), hospital)


def test_a_lower_statement_version_is_refused_at_step_4(honest: VaultInfo, hospital: Hospital) -> None:
    with pytest.raises(NotVerified, match=r"step 4: .*newer statement before"):
        check(honest, hospital, lowest=2)


def test_another_vaults_statement_is_refused_at_step_4(
    honest: VaultInfo, foreign: VaultInfo, hospital: Hospital
) -> None:
    with pytest.raises(NotVerified, match="step 4"):
        check(msgspec.structs.replace(honest, statement=foreign.statement), hospital)


def test_another_logs_checkpoint_is_refused_at_step_5(
    honest: VaultInfo, foreign: VaultInfo, hospital: Hospital
) -> None:
    with pytest.raises(NotVerified, match="step 5"):
        check(msgspec.structs.replace(honest, checkpoint=foreign.checkpoint), hospital)
