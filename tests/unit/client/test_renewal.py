"""A doctor's certificates are renewed at a contact with the vault, over the same keys, or stay as they are."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.hospital import Doctor, Hospital, doctor_keys
from tests.fixtures.small_vault import SmallVault, problem, serving
from tests.unit.client.conftest import CHEAP, PASSPHRASE, identity_of
from tools.throwaway_vault import write_secret
from vaultq_client.client import Client
from vaultq_client.home import Home
from vaultq_client.identity import Identity, keys_to_bytes, load_identity, replace_identity, store_identity
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.errors import NotVerified, Unavailable, WrongPassphrase
from vaultq_core.wire import paths
from vaultq_core.wire.manifest import CertificatePair

Clock = Callable[[], dt.datetime]
YEAR, MONTH, HOUR = dt.timedelta(days=365), dt.timedelta(days=30), dt.timedelta(hours=1)
ADA = "Dr. Ada Lovelace"
REFUSED = problem(503, "keystore-unavailable", "the keystore is away")


@pytest.fixture
def renewed(hospital: Hospital) -> Hospital:
    """The hospital after its doctors CA was replaced."""
    return hospital.with_new_doctors_ca("St. Elsewhere doctors CA 2")


@pytest.fixture
def ada(hospital: Hospital) -> Doctor:
    """A doctor of the former CA."""
    return hospital.employ(ADA)


@pytest.fixture
def vault(renewed: Hospital, ada: Doctor, tmp_path: Path) -> Iterator[SmallVault]:
    """A vault that knows Ada, and renews her pair as a vault should."""
    vault = SmallVault(renewed, ada, renewed.vault_keys(), renewed=renewed.employ(ADA).pair)
    with serving(vault, tmp_path):
        yield vault


@pytest.fixture
def identity(renewed: Hospital, ada: Doctor, vault: SmallVault) -> Identity:
    return identity_of(renewed, ada, vault.address)


def listed(home: Home, patient: str) -> tuple[int, str]:
    """List a patient's records as a doctor types it; return the exit status and standard error."""
    secret = home.path / "secret"
    with suppress(FileExistsError):
        write_secret(secret, PASSPHRASE)
    command = (sys.executable, "-c", "from vaultq_client.cli import main; main()", "--home", str(home.path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    arguments = ("--passphrase-file", str(secret), "ls", patient)
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stderr


def questions(vault: SmallVault) -> int:
    """Return how many sealed requests the vault got."""
    return vault.asked.count(f"POST {paths.REQUESTS}")


def stored(home: Home) -> CertificatePair:
    return load_identity(home, PASSPHRASE).certificates


@pytest.mark.usefixtures("stored_home")
def test_the_next_session_has_the_new_pair_and_the_same_keys(
    client: Client, vault: SmallVault, identity: Identity, clock: Clock
) -> None:
    _ = client.session.view

    assert client.renew(PASSPHRASE)

    found = load_identity(client.session.home, PASSPHRASE)
    assert found.certificates == vault.renewed
    assert keys_to_bytes(found.keys) == keys_to_bytes(identity.keys)
    assert replace(found, certificates=identity.certificates, keys=identity.keys) == identity
    with Client(client.session.home, found, now=clock) as later:
        _ = later.session.view
        before = questions(vault)
        assert not later.renew(PASSPHRASE)
        assert questions(vault) == before


@pytest.mark.usefixtures("stored_home")
def test_a_pair_is_renewed_in_its_last_30_days_and_not_before(
    hospital: Hospital, home: Home, vault: SmallVault, renewed: Hospital
) -> None:
    now, keys = hospital.now, doctor_keys(hospital.name, ADA)
    for left, due in ((MONTH + HOUR, False), (MONTH - HOUR, True)):
        pair = renewed.employ(ADA, keys=keys, now=now - YEAR + left).pair
        identity = replace(load_identity(home, PASSPHRASE), certificates=pair)
        replace_identity(home, identity, PASSPHRASE)
        vault.doctor = replace(vault.doctor, signing=load_certificate(pair.signing), tls=load_certificate(pair.tls))
        with Client(home, identity, now=lambda: now) as client:
            _ = client.session.view
            assert client.renew(PASSPHRASE) == due


@pytest.mark.usefixtures("stored_home")
def test_nothing_is_sent_by_a_command_that_did_not_speak_with_the_vault(client: Client, vault: SmallVault) -> None:
    client.whoami()

    assert not client.renew(PASSPHRASE)
    assert vault.asked == []


@pytest.mark.usefixtures("stored_home")
def test_a_vault_that_does_not_renew_yet_changes_nothing(client: Client, vault: SmallVault, ada: Doctor) -> None:
    _ = client.session.view
    vault.renewed = None

    assert not client.renew(PASSPHRASE)
    assert stored(client.session.home) == ada.pair


def another_doctor(hospital: Hospital) -> CertificatePair:
    return hospital.employ("Dr. Robert Koch", keys=doctor_keys(hospital.name, ADA)).pair


def other_keys(hospital: Hospital) -> CertificatePair:
    return hospital.employ(ADA, keys=doctor_keys(hospital.name, "Mallory")).pair


def another_tls_key(hospital: Hospital) -> CertificatePair:
    mine, mallorys = doctor_keys(hospital.name, ADA), doctor_keys(hospital.name, "Mallory")
    return hospital.employ(ADA, keys=replace(mine, tls=mallorys.tls)).pair


def halves_of_two_pairs(hospital: Hospital) -> CertificatePair:
    one, other = hospital.employ(ADA).pair, hospital.employ(ADA).pair
    return CertificatePair(signing=one.signing, tls=other.tls)


def ended(hospital: Hospital) -> CertificatePair:
    return hospital.employ(ADA, now=hospital.now - dt.timedelta(days=400)).pair


@pytest.mark.usefixtures("stored_home")
@pytest.mark.parametrize("forged", [another_doctor, other_keys, another_tls_key, halves_of_two_pairs, ended])
def test_a_pair_that_is_not_this_doctors_is_refused_and_the_present_one_stays(
    forged: Callable[[Hospital], CertificatePair], client: Client, vault: SmallVault, renewed: Hospital, ada: Doctor
) -> None:
    _ = client.session.view
    vault.renewed = forged(renewed)

    with pytest.raises(NotVerified):
        client.renew(PASSPHRASE)
    assert stored(client.session.home) == ada.pair


@pytest.mark.usefixtures("stored_home")
def test_another_passphrase_does_not_become_that_of_the_identity(client: Client, ada: Doctor) -> None:
    _ = client.session.view

    with pytest.raises(WrongPassphrase):
        client.renew("eight green bottles on a wall")
    assert stored(client.session.home) == ada.pair


@pytest.mark.usefixtures("stored_home")
def test_what_another_process_has_renewed_is_not_overwritten(
    client: Client, identity: Identity, renewed: Hospital
) -> None:
    _ = client.session.view
    elsewhere = renewed.employ(ADA).pair
    replace_identity(client.session.home, replace(identity, certificates=elsewhere), PASSPHRASE)

    assert not client.renew(PASSPHRASE)
    assert stored(client.session.home) == elsewhere


@pytest.mark.usefixtures("stored_home")
def test_a_vault_that_cannot_renew_now_is_asked_again_by_the_next_session(
    client: Client, vault: SmallVault, ada: Doctor
) -> None:
    _ = client.session.view
    client.session.transport._wait = lambda _seconds: None  # noqa: SLF001 - nobody waits in a test
    vault.refusals = [REFUSED] * 9

    with pytest.raises(Unavailable):
        client.renew(PASSPHRASE)
    assert stored(client.session.home) == ada.pair
    vault.refusals = []
    assert client.renew(PASSPHRASE)


def test_a_renewal_that_fails_does_not_fail_the_command(
    home: Home, identity: Identity, vault: SmallVault, renewed: Hospital, patient: str, ada: Doctor
) -> None:
    store_identity(home, identity, PASSPHRASE, cost=CHEAP)
    vault.renewed = other_keys(renewed)
    failed, warned = listed(home, patient)
    assert (failed, stored(home)) == (0, ada.pair)
    assert "could not be renewed" in warned
    assert "[not-verified]" in warned

    new = renewed.employ(ADA)
    vault.renewed = new.pair
    assert listed(home, patient) == (0, "Your certificates were renewed; your keys are the same.\n")
    assert stored(home) == new.pair
    vault.doctor = new
    assert listed(home, patient) == (0, "")
