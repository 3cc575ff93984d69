from __future__ import annotations

import datetime as dt

import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault
from tests.unit.client.conftest import identity_of
from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_core.crypto.chains import VerifiedDoctor
from vaultq_core.crypto.statements import sign_grant
from vaultq_core.errors import Malformed, NotPermitted, NotVerified, Usage
from vaultq_core.wire.sealed_request import Demographics
from vaultq_core.wire.statements import GrantStatement, Role, SignedGrant

WHO = Demographics(name="Max Müller", birth_date="1970-01-31", record_number=None)


@pytest.fixture
def patient(client: Client, vault: SmallVault, grace: Doctor) -> str:
    """A patient whom Ada founded; Grace is a colleague."""
    vault.colleagues = [grace]
    return client.add_patient(WHO).patient


def given_by(
    author: Doctor, to: VerifiedDoctor, patient: str, hospital: Hospital, parent: str, role: Role = "read"
) -> SignedGrant:
    statement = GrantStatement(
        suite="VQ-65",
        vault=hospital.vault,
        grant="00000000-0000-4000-8000-000000000001",
        parent=parent,
        patient=patient,
        author=author.id,
        doctor=to.id,
        key=to.key,
        role=role,
        created=int(hospital.now.timestamp()),
        until=None,
    )
    return sign_grant(statement, author.keys.signing, author.pair)


def test_the_founder_gives_on_and_both_grants_are_proven(
    client: Client, patient: str, ada: Doctor, grace: Doctor
) -> None:
    given = client.grant(patient, grace.id, "write")

    assert given.doctor_name == grace.name
    assert [(each.doctor, each.role, each.author) for each in client.grants(patient)] == [
        (ada.id, "own", ada.id), (grace.id, "write", ada.id),
    ]  # fmt: skip


def test_a_grant_by_one_who_does_not_own_is_refused(
    client: Client, vault: SmallVault, patient: str, hospital: Hospital, ada: Doctor, grace: Doctor
) -> None:
    parent = client.grant(patient, grace.id, "write").grant
    vault.grants.append(given_by(grace, hospital.verified(ada), patient, hospital, parent))

    with pytest.raises(NotVerified, match="gives more than its author holds"):
        client.grants(patient)


def test_a_grant_whose_parent_has_ended_does_not_hold(
    client: Client, vault: SmallVault, patient: str, hospital: Hospital, ada: Doctor, grace: Doctor
) -> None:
    ended = "00000000-0000-4000-8000-00000000000a"
    vault.grants.append(given_by(ada, hospital.verified(grace), patient, hospital, ended))

    assert [each.doctor for each in client.grants(patient)] == [ada.id]


def test_who_owns_nothing_gives_nothing(client: Client, vault: SmallVault, patient: str, grace: Doctor) -> None:
    vault.grants.clear()

    with pytest.raises(NotPermitted):
        client.grant(patient, grace.id, "read")


def test_nobody_gives_for_longer_than_his_own(
    client: Client, vault: SmallVault, home: Home, patient: str, hospital: Hospital, ada: Doctor, grace: Doctor
) -> None:
    soon = int((hospital.now + dt.timedelta(days=1)).timestamp())
    client.grant(patient, grace.id, "own", soon)
    vault.doctor, vault.colleagues = grace, [ada]

    with (
        Client(home, identity_of(hospital, grace, vault.address), now=lambda: hospital.now) as graces,
        pytest.raises(Usage, match="for longer"),
    ):
        graces.grant(patient, ada.id, "read", soon + 1)


def test_a_colleagues_forged_certificates_get_no_grant(
    client: Client, vault: SmallVault, patient: str, stranger: Doctor
) -> None:
    vault.colleagues = [stranger]

    with pytest.raises(NotVerified):
        client.grant(patient, stranger.id, "read")


def test_demographics_that_the_format_does_not_allow_are_not_sent(client: Client, vault: SmallVault) -> None:
    with pytest.raises(Malformed):
        client.add_patient(Demographics(name="two\nlines", birth_date=None, record_number=None))
    assert vault.asked == []
