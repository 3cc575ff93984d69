"""Enrolment against guessers, impostors and thieves of a password (promise 1: certificate and one-time password)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault
from vaultq_client.home import Home
from vaultq_client.vault_view import Pins
from vaultq_core.crypto.enrolment import DoctorKeys, make_enrolment
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.keys import generate_p256, generate_signing_keys
from vaultq_core.crypto.signatures import ENROLMENT, sign_both
from vaultq_core.errors import Conflict, IdentityInvalid, NotVerified, WrongPassword
from vaultq_core.wire import canonical, paths
from vaultq_core.wire.api import DoctorProvision, EnrolmentOpened
from vaultq_core.wire.statements import EnrolmentRequest, decode_enrolment_statement
from vaultq_core.words import fingerprint_words

TRIES = 5
ACTIVE = "SELECT count(*) FROM certificates WHERE owner = ?"


@pytest.fixture
def provision(vault: Vault) -> DoctorProvision:
    """A doctor who has an id and a one-time password, and nothing else yet."""
    return vault.admin.add_doctor("Dr. New")


def opening(vault: Vault, doctor: str, password: str) -> Answer:
    body = json.dumps({"doctor": doctor, "password": password}).encode()
    return vault.call("enrolment", None, "POST", paths.ENROLMENTS, body, {"content-type": "application/json"})


def opened(vault: Vault, provision: DoctorProvision) -> EnrolmentOpened:
    answer = opening(vault, provision.doctor, provision.password)
    assert answer.status == 201, answer.body
    return msgspec.json.decode(answer.body, type=EnrolmentOpened)


def submit(vault: Vault, doctor: str, secret: bytes, request: EnrolmentRequest | bytes) -> Answer:
    body = request if isinstance(request, bytes) else msgspec.json.encode(request)
    headers = {"authorization": f"Bearer {secret.hex()}", "content-type": "application/json"}
    return vault.call("enrolment", None, "PUT", f"{paths.ENROLMENTS}/{doctor}", body, headers)


def status_of(vault: Vault, doctor: str) -> str:
    return str(vault.value("SELECT status FROM doctors WHERE id = ?", doctor))


def fresh_keys() -> DoctorKeys:
    return DoctorKeys(generate_signing_keys(), generate_p256())


# --- the one-time password ------------------------------------------------------------------------


def test_a_wrong_password_opens_nothing(vault: Vault, provision: DoctorProvision) -> None:
    answer = opening(vault, provision.doctor, "wrong")

    assert (answer.status, answer.code) == (401, "wrong-password")
    assert vault.value("SELECT count(*) FROM enrolments WHERE doctor = ?", provision.doctor) == 0
    assert status_of(vault, provision.doctor) == "provisioned"


def test_five_wrong_passwords_lock_the_right_one_out(vault: Vault, provision: DoctorProvision) -> None:
    wrong = [opening(vault, provision.doctor, f"guess {index}") for index in range(TRIES)]

    right = opening(vault, provision.doctor, provision.password)

    assert {answer.code for answer in (*wrong, right)} == {"wrong-password"}
    assert vault.value("SELECT count(*) FROM enrolments WHERE doctor = ?", provision.doctor) == 0


def test_guesses_in_parallel_get_no_more_than_five_tries(vault: Vault, provision: DoctorProvision) -> None:
    guesses = [f"guess {index}" for index in range(12)]
    with ThreadPoolExecutor(len(guesses)) as pool:
        answers = list(pool.map(lambda guess: opening(vault, provision.doctor, guess), guesses))

    assert {answer.code for answer in answers} <= {"wrong-password", "unavailable"}
    tries = "SELECT attempts_left FROM one_time_passwords WHERE doctor = ?"
    assert vault.value(tries, provision.doctor) == 0
    assert opening(vault, provision.doctor, provision.password).code == "wrong-password"


def test_four_wrong_passwords_leave_one_try(vault: Vault, provision: DoctorProvision) -> None:
    for index in range(TRIES - 1):
        opening(vault, provision.doctor, f"guess {index}")

    assert opening(vault, provision.doctor, provision.password).status == 201


def test_a_password_ends_after_72_hours(vault: Vault, provision: DoctorProvision) -> None:
    created = vault.value("SELECT created FROM doctors WHERE id = ?", provision.doctor)
    assert provision.expires - created in {72 * 3600, 72 * 3600 - 1, 72 * 3600 + 1}
    vault.change("UPDATE one_time_passwords SET expires = ? WHERE doctor = ?", created - 1, provision.doctor)

    assert opening(vault, provision.doctor, provision.password).code == "wrong-password"


def test_a_password_is_used_once(vault: Vault, provision: DoctorProvision) -> None:
    first = opened(vault, provision)
    request = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, fresh_keys())
    assert submit(vault, provision.doctor, first.secret, request).status == 200

    again = opening(vault, provision.doctor, provision.password)

    assert again.status in {401, 409}
    assert again.code in {"wrong-password", "conflict"}
    assert vault.value("SELECT count(*) FROM enrolments WHERE doctor = ? AND state = 'open'", provision.doctor) == 0


def test_an_unknown_doctor_answers_as_a_wrong_password(vault: Vault, provision: DoctorProvision) -> None:
    known, unknown = opening(vault, provision.doctor, "wrong").problem, opening(vault, "dr-0000000000", "wrong").problem

    assert msgspec.structs.replace(known, request_id="") == msgspec.structs.replace(unknown, request_id="")


def test_the_password_is_stored_as_a_bcrypt_hash_only(vault: Vault, provision: DoctorProvision) -> None:
    stored = vault.value("SELECT hash FROM one_time_passwords WHERE doctor = ?", provision.doctor)

    assert stored.startswith(b"$2b$12$")
    for path in (vault.directory / "registry.db", vault.directory / "registry.db-wal"):
        assert not path.exists() or provision.password.encode() not in path.read_bytes()


# --- the proofs -----------------------------------------------------------------------------------


def test_keys_are_not_taken_under_another_secret(vault: Vault, provision: DoctorProvision) -> None:
    first = opened(vault, provision)
    request = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, fresh_keys())

    answer = submit(vault, provision.doctor, secrets.token_bytes(32), request)

    assert (answer.status, answer.code) == (401, "not-authenticated")
    assert status_of(vault, provision.doctor) == "provisioned"


def test_a_secret_opens_no_other_doctors_enrolment(vault: Vault, provision: DoctorProvision) -> None:
    other, mine = vault.admin.add_doctor("Dr. Other"), opened(vault, provision)
    opened(vault, other)

    for doctor in (other.doctor, "dr-0000000000"):
        headers = {"authorization": f"Bearer {mine.secret.hex()}"}
        answer = vault.call("enrolment", None, "GET", f"{paths.ENROLMENTS}/{doctor}", None, headers)
        assert (answer.status, answer.code) == (401, "not-authenticated")


@pytest.mark.parametrize("header", [None, "", "Basic YWRhOnB3", "Bearer", "Bearer " + "0" * 64, "Bearer ../../x"])
def test_an_enrolment_without_its_secret_is_not_shown(
    vault: Vault, provision: DoctorProvision, header: str | None
) -> None:
    opened(vault, provision)
    headers = {} if header is None else {"authorization": header}

    answer = vault.call("enrolment", None, "GET", f"{paths.ENROLMENTS}/{provision.doctor}", None, headers)

    assert (answer.status, answer.code) == (401, "not-authenticated")


def _other_nonce(vault: Vault, doctor: str, _nonce: bytes) -> EnrolmentRequest:
    return make_enrolment(vault.admin_home.anchors.vault, doctor, bytes(32), fresh_keys())


def _other_vault(_vault: Vault, doctor: str, nonce: bytes) -> EnrolmentRequest:
    return make_enrolment("0" * 64, doctor, nonce, fresh_keys())


def _other_doctor(vault: Vault, _doctor: str, nonce: bytes) -> EnrolmentRequest:
    return make_enrolment(vault.admin_home.anchors.vault, "dr-0000000000", nonce, fresh_keys())


def _signed_by_others(vault: Vault, doctor: str, nonce: bytes) -> EnrolmentRequest:
    mine = make_enrolment(vault.admin_home.anchors.vault, doctor, nonce, fresh_keys())
    foreign = sign_both(generate_signing_keys(), mine.statement, ENROLMENT)
    return msgspec.structs.replace(mine, signatures=foreign)


def _half_signed_by_others(vault: Vault, doctor: str, nonce: bytes) -> EnrolmentRequest:
    mine = make_enrolment(vault.admin_home.anchors.vault, doctor, nonce, fresh_keys())
    foreign = sign_both(generate_signing_keys(), mine.statement, ENROLMENT)
    mixed = msgspec.structs.replace(mine.signatures, ecdsa_p256=foreign.ecdsa_p256)
    return msgspec.structs.replace(mine, signatures=mixed)


def _others_tls_request(vault: Vault, doctor: str, nonce: bytes) -> EnrolmentRequest:
    """The PKCS#10 request of a TLS key that the applicant does not hold."""
    anchors, keys = vault.admin_home.anchors.vault, fresh_keys()
    mine = make_enrolment(anchors, doctor, nonce, keys)
    victim = make_enrolment(anchors, doctor, nonce, fresh_keys())
    statement = decode_enrolment_statement(mine.statement)
    claimed = msgspec.structs.replace(statement, tls_request=sha256_hex(victim.tls_request))
    data = canonical.encode(claimed)
    return msgspec.structs.replace(
        mine, statement=data, signatures=sign_both(keys.signing, data, ENROLMENT), tls_request=victim.tls_request
    )


def _one_key_for_two_purposes(vault: Vault, doctor: str, nonce: bytes) -> EnrolmentRequest:
    signing = generate_signing_keys()
    return make_enrolment(vault.admin_home.anchors.vault, doctor, nonce, DoctorKeys(signing, signing.ecdsa_p256))


FORGED: dict[str, Callable[[Vault, str, bytes], EnrolmentRequest]] = {
    "another-nonce": _other_nonce,
    "another-vault": _other_vault,
    "another-doctor": _other_doctor,
    "signed-by-other-keys": _signed_by_others,
    "one-signature-by-another-key": _half_signed_by_others,
    "a-request-of-anothers-tls-key": _others_tls_request,
    "one-key-for-tls-and-signatures": _one_key_for_two_purposes,
}


@pytest.mark.parametrize("forged", FORGED)
def test_proofs_that_do_not_match_their_keys(vault: Vault, provision: DoctorProvision, forged: str) -> None:
    first, log = opened(vault, provision), vault.log_size()

    answer = submit(vault, provision.doctor, first.secret, FORGED[forged](vault, provision.doctor, first.nonce))

    assert (answer.status, answer.code) == (422, "not-verified")
    assert status_of(vault, provision.doctor) == "provisioned"
    assert provision.doctor not in [each.doctor for each in vault.admin.pending()]
    assert vault.log_size() == log


def test_a_statement_that_is_not_canonical(vault: Vault, provision: DoctorProvision) -> None:
    first, keys = opened(vault, provision), fresh_keys()
    request = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, keys)
    data = request.statement.replace(b'","', b'", "', 1)
    changed = msgspec.structs.replace(request, statement=data, signatures=sign_both(keys.signing, data, ENROLMENT))

    assert submit(vault, provision.doctor, first.secret, changed).code == "not-verified"
    assert status_of(vault, provision.doctor) == "provisioned"


def test_an_unknown_field_in_the_proofs(vault: Vault, provision: DoctorProvision) -> None:
    first = opened(vault, provision)
    request = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, fresh_keys())
    body = json.dumps(json.loads(msgspec.json.encode(request)) | {"role": "own"}).encode()

    answer = submit(vault, provision.doctor, first.secret, body)

    assert (answer.status, answer.code) == (400, "malformed")
    assert status_of(vault, provision.doctor) == "provisioned"


def test_other_keys_are_not_taken_once_the_first_ones_wait(vault: Vault, provision: DoctorProvision) -> None:
    first = opened(vault, provision)
    mine = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, fresh_keys())
    theirs = make_enrolment(vault.admin_home.anchors.vault, provision.doctor, first.nonce, fresh_keys())
    assert submit(vault, provision.doctor, first.secret, mine).status == 200

    answer = submit(vault, provision.doctor, first.secret, theirs)

    assert (answer.status, answer.code) == (409, "conflict")
    waiting = vault.admin.waiting(provision.doctor)
    assert waiting.words == fingerprint_words(mine.statement)


def test_only_the_newest_opening_counts(vault: Vault, provision: DoctorProvision) -> None:
    """Who opens again, with the password, ends the opening before: two never wait side by side."""
    old, new, place = opened(vault, provision), opened(vault, provision), vault.admin_home.anchors.vault
    request = make_enrolment(place, provision.doctor, old.nonce, fresh_keys())

    answer = submit(vault, provision.doctor, old.secret, request)

    assert (answer.status, answer.code) == (401, "not-authenticated")
    assert status_of(vault, provision.doctor) == "provisioned"
    request = make_enrolment(place, provision.doctor, new.nonce, fresh_keys())
    assert submit(vault, provision.doctor, new.secret, request).status == 200


# --- the decision ---------------------------------------------------------------------------------


def test_no_certificate_is_issued_for_other_words(vault: Vault, provision: DoctorProvision, tmp_path: Path) -> None:
    with closing(vault.begin_enrolment(provision, tmp_path / "home")) as enrolment:
        assert enrolment.state().state == "pending"

        with pytest.raises(Conflict):
            vault.admin.issue(provision.doctor, tuple(reversed(enrolment.words)))

        assert enrolment.state().certificates is None
        assert vault.value(ACTIVE, provision.doctor) == 0


def test_a_rejected_enrolment_gets_no_certificate_and_does_not_come_back(
    vault: Vault, provision: DoctorProvision, tmp_path: Path
) -> None:
    with closing(vault.begin_enrolment(provision, tmp_path / "home")) as enrolment:
        enrolment.state()
        vault.admin.reject(provision.doctor)

        with pytest.raises(IdentityInvalid):
            enrolment.wait(lambda _: None)
    with pytest.raises(Conflict):
        vault.admin.issue(provision.doctor, enrolment.words)
    assert vault.value(ACTIVE, provision.doctor) == 0
    assert not Home(tmp_path / "home").identity.exists()


def test_a_wrong_password_leaves_no_identity_at_the_doctors_place(
    vault: Vault, provision: DoctorProvision, tmp_path: Path
) -> None:
    with pytest.raises(WrongPassword):
        vault.begin_enrolment(provision, tmp_path / "home", password="wrong")

    assert not Home(tmp_path / "home").identity.exists()
    assert not Home(tmp_path / "home").enrolment.exists()


@pytest.mark.parametrize("root", ["hospital", "pq"])
def test_another_root_than_the_pinned_one_gets_no_password(
    vault: Vault, provision: DoctorProvision, tmp_path: Path, root: str
) -> None:
    pins = {"hospital": provision.hospital_root_sha256, "pq": provision.pq_root_sha256} | {root: "0" * 64}
    tries = "SELECT attempts_left FROM one_time_passwords WHERE doctor = ?"
    before = vault.value(tries, provision.doctor)

    with pytest.raises(NotVerified):
        vault.begin_enrolment(provision, tmp_path / "home", pins=Pins(**pins))

    assert vault.value(tries, provision.doctor) == before
    assert vault.value("SELECT count(*) FROM enrolments WHERE doctor = ?", provision.doctor) == 0


def test_an_enrolled_doctors_certificate_opens_nothing_on_the_enrolment_listener(
    vault: Vault, ada: EnrolledDoctor
) -> None:
    """It is asked for no certificate there, and shows none."""
    answer = vault.call("enrolment", ada.tls, "GET", f"{paths.ENROLMENTS}/{ada.id}")

    assert (answer.status, answer.code) == (401, "not-authenticated")


@pytest.mark.parametrize("doctor", ["..%2F..%2Fetc", "%2e%2e", "dr-" + "0" * 200, "dr-0000000000%00", "DR-0000000000"])
def test_a_doctors_id_that_is_a_path(vault: Vault, doctor: str) -> None:
    headers = {"authorization": "Bearer " + "0" * 64}

    for method, body in (("GET", None), ("PUT", b"{}")):
        answer = vault.call("enrolment", None, method, f"{paths.ENROLMENTS}/{doctor}", body, headers)
        assert answer.status in {400, 404}
        assert answer.code in {"malformed", "no-such-route"}


def test_a_nonce_and_a_secret_are_256_bits_of_their_own(vault: Vault, provision: DoctorProvision) -> None:
    seen = [opened(vault, provision) for _ in range(3)]

    values = {value for each in seen for value in (each.secret, each.nonce)}
    assert len(values) == 6
    assert {len(value) for value in values} == {32}
