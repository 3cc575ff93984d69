from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.hospital import Doctor, Hospital
from tests.fixtures.small_vault import SmallVault, issue_for, problem, serving
from tests.unit.client.conftest import PASSPHRASE
from vaultq_client.checks import load_roots
from vaultq_client.enrolment import Application, Enrolment, begin, require_room, resume
from vaultq_client.home import Home
from vaultq_client.identity import load_identity
from vaultq_client.vault_view import Pins
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import CannotConnect, Conflict, IdentityInvalid, NotVerified, WrongPassphrase, WrongPassword
from vaultq_core.wire import paths

Clock = Callable[[], dt.datetime]
PASSWORD = "cs54-4jhb-vx7r-3eem"


@pytest.fixture
def application(vault: SmallVault, ada: Doctor) -> Application:
    roots = vault.info().roots
    pins = Pins(sha256_hex(roots.hospital), sha256_hex(roots.pq))
    return Application(ada.id, vault.address, vault.address, pins, PASSWORD)


@pytest.fixture
def enrolment(
    home: Home, application: Application, clock: Clock, vault: SmallVault, ada: Doctor
) -> Iterator[Enrolment]:
    """Ada's enrolment; the administrator issues as soon as the request is there."""
    vault.enrolling = partial(issue_for, vault.hospital, ada.id, ada.name)
    with begin(home, application, PASSPHRASE, clock) as enrolment:
        yield enrolment


def no_sleep(_seconds: float) -> None:
    """Do not wait: the vault has answered."""


def test_an_enrolment_ends_in_a_sealed_identity(home: Home, enrolment: Enrolment, ada: Doctor) -> None:
    certificates = enrolment.wait(no_sleep)
    identity = enrolment.finish(certificates)

    assert (identity.doctor, identity.name, identity.certificates) == (ada.id, ada.name, certificates)
    assert load_identity(home, PASSPHRASE).signing_certificate == identity.signing_certificate
    assert load_roots(home.path) == identity.anchors
    assert not home.enrolment.exists()
    assert len(enrolment.words) == 7


def test_a_client_that_was_killed_goes_on_with_the_same_keys(home: Home, enrolment: Enrolment, clock: Clock) -> None:
    with resume(home, PASSPHRASE, clock) as again:
        assert again.words == enrolment.words
        assert again.finish(again.wait(no_sleep)).doctor == enrolment.doctor


@pytest.mark.parametrize("root", ["hospital", "pq"])
def test_nothing_secret_is_said_to_a_vault_of_other_roots(
    home: Home, application: Application, clock: Clock, vault: SmallVault, root: str
) -> None:
    pins = {"hospital": application.pins.hospital, "pq": application.pins.pq} | {root: "00" * 32}
    wrong = Application(application.doctor, vault.address, vault.address, Pins(**pins), PASSWORD)

    with pytest.raises(NotVerified, match="not the one that was named"):
        begin(home, wrong, PASSPHRASE, clock)
    assert vault.asked == [f"GET {paths.VAULT}"]
    assert not home.enrolment.exists()


def test_nothing_secret_is_said_to_a_server_that_only_repeats_the_roots(
    home: Home, application: Application, clock: Clock, vault: SmallVault, other_hospital: Hospital, ada: Doctor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    repeating = SmallVault(other_hospital, ada, other_hospital.vault_keys())
    monkeypatch.setattr(repeating, "info", vault.info)  # it has heard the roots, and lacks their keys
    (tmp_path / "impostor").mkdir()
    with serving(repeating, tmp_path / "impostor"):
        led_astray = Application(ada.id, repeating.address, repeating.address, application.pins, PASSWORD)
        with pytest.raises(CannotConnect, match="does not verify"):
            begin(home, led_astray, PASSPHRASE, clock)

    assert repeating.asked == [f"GET {paths.VAULT}"]


def test_a_wrong_password_leaves_nothing_behind(
    home: Home, application: Application, clock: Clock, vault: SmallVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = vault.respond

    def refusing(method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[str, bytes]:
        if path == paths.ENROLMENTS:
            raise WrongPassword("no")
        return honest(method, path, query, body)

    monkeypatch.setattr(vault, "respond", refusing)
    with pytest.raises(WrongPassword):
        begin(home, application, PASSPHRASE, clock)
    assert not home.enrolment.exists()


def test_certificates_for_other_keys_are_refused_at_step_3(home: Home, enrolment: Enrolment, ada: Doctor) -> None:
    enrolment.wait(no_sleep)

    with pytest.raises(NotVerified, match=r"step 3: .*other keys"):
        enrolment.finish(ada.pair)
    assert not home.identity.exists()
    assert home.enrolment.exists()


def test_certificates_of_another_doctor_are_refused_at_step_2(
    home: Home, application: Application, clock: Clock, vault: SmallVault, grace: Doctor
) -> None:
    vault.enrolling = partial(issue_for, vault.hospital, application.doctor, grace.name, named=grace.id)
    with begin(home, application, PASSPHRASE, clock) as enrolment:
        certificates = enrolment.wait(no_sleep)
        with pytest.raises(NotVerified, match=r"step 2: .*another doctor"):
            enrolment.finish(certificates)
    assert not home.identity.exists()


def test_a_strangers_certificates_are_refused_at_step_1(home: Home, enrolment: Enrolment, stranger: Doctor) -> None:
    with pytest.raises(NotVerified, match="step 1"):
        enrolment.finish(stranger.pair)
    assert not home.identity.exists()


def test_a_rejected_enrolment_ends(home: Home, enrolment: Enrolment, vault: SmallVault) -> None:
    vault.rejected = True

    with pytest.raises(IdentityInvalid, match="rejected"):
        enrolment.wait(no_sleep)
    assert not home.enrolment.exists()


def test_a_vault_that_is_away_is_asked_again(enrolment: Enrolment, vault: SmallVault) -> None:
    vault.refusals = [problem(503, "unavailable", retry_after=60)]
    slept: list[float] = []

    enrolment.wait(slept.append)
    assert len(slept) == 1


def test_an_unfinished_enrolment_is_sealed(home: Home, enrolment: Enrolment, clock: Clock, ada: Doctor) -> None:
    data = home.enrolment.read_bytes()

    assert home.enrolment.stat().st_mode & 0o777 == 0o600
    assert not any(each in data for each in (ada.id.encode(), PASSWORD.encode()))
    assert ada.id == enrolment.doctor
    with pytest.raises(WrongPassphrase):
        resume(home, "another passphrase", clock)


def test_a_home_takes_one_enrolment_or_identity(home: Home, enrolment: Enrolment, stored_home: Home) -> None:
    with pytest.raises(Conflict, match="holds an identity"):
        require_room(stored_home)
    stored_home.identity.unlink()
    with pytest.raises(Conflict, match="not finished"):
        require_room(home)
    assert enrolment.doctor


def test_the_password_is_in_no_repr(application: Application) -> None:
    assert PASSWORD not in repr(application)
