"""Doctors, administrators, passwords, enrolments, keys and certificates: what may follow what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from tests.unit.registry.example import ADA, BOB, CREATED
from vaultq_core.errors import Conflict, NotFound
from vaultq_core.registry.administrators import Administrator
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.doctors import Doctor, DoctorStatus
from vaultq_core.registry.enrolled_keys import EnrolledKey
from vaultq_core.registry.enrolments import Enrolment
from vaultq_core.registry.passwords import OneTimePassword
from vaultq_core.registry.registry import Registry

ADMIN = "ad-0000000000"


def a_password(doctor: str = ADA, attempts: int = 5) -> OneTimePassword:
    return OneTimePassword(doctor=doctor, hash=b"$2b$", expires=100, attempts_left=attempts)


def an_enrolment(secret: str, doctor: str = ADA) -> Enrolment:
    return Enrolment(secret_hash=secret, doctor=doctor, nonce=b"n" * 32, state="open", created=1, expires=100)


def a_certificate(sha256: str, **changes: object) -> CertificateRow:
    fields: dict[str, object] = {
        "sha256": sha256,
        "role": "doctor-tls",
        "owner": ADA,
        "der": b"der",
        "serial": sha256[:16],
        "issuer": "CN=doctors",
        "not_before": 10,
        "not_after": 20,
    }
    return CertificateRow(**(fields | changes))  # type: ignore[arg-type]


# --- doctors --------------------------------------------------------------------------------------


def test_doctors_are_listed_by_id_page_by_page(registry: Registry, tx: Connection) -> None:
    ids = [f"dr-{number:010}" for number in range(1, 8)]
    for each in ids[2:]:
        registry.doctors.add(tx, Doctor(id=each, name="D", status="provisioned", created=CREATED))
    registry.doctors.move(tx, ids[4], "pending")

    assert [each.id for each in registry.doctors.page(tx, limit=3)] == ids[:3]
    assert [each.id for each in registry.doctors.page(tx, after=ids[2], limit=9)] == ids[3:]
    assert [each.id for each in registry.doctors.page(tx, limit=9, status="pending")] == [ids[4]]
    assert registry.doctors.count(tx, "provisioned") == 6


@pytest.mark.parametrize(
    ("way", "last"),
    [
        (["pending", "active", "revoked", "provisioned"], "provisioned"),
        (["pending", "rejected", "provisioned", "pending"], "pending"),
        (["provisioned", "revoked"], "revoked"),
    ],
)
def test_a_doctor_moves_along_his_way(
    registry: Registry, tx: Connection, way: list[DoctorStatus], last: DoctorStatus
) -> None:
    for status in way:
        registry.doctors.move(tx, ADA, status)

    assert registry.doctors.get(tx, ADA).status == last


@pytest.mark.parametrize("way", [["active"], ["pending", "active", "pending"], ["revoked", "active"], ["rejected"]])
def test_a_doctor_takes_no_short_cut(registry: Registry, tx: Connection, way: list[DoctorStatus]) -> None:
    for status in way[:-1]:
        registry.doctors.move(tx, ADA, status)

    with pytest.raises(Conflict, match="cannot become"):
        registry.doctors.move(tx, ADA, way[-1])


def test_nobody_is_found_under_an_unknown_id(registry: Registry, tx: Connection) -> None:
    assert registry.doctors.find(tx, "dr-zzzzzzzzzz") is None
    with pytest.raises(NotFound, match="no such doctor"):
        registry.doctors.get(tx, "dr-zzzzzzzzzz")


def test_a_revoked_administrator_stays_revoked(registry: Registry, tx: Connection) -> None:
    registry.administrators.add(tx, Administrator(id=ADMIN, name="Grace", status="active", created=CREATED))

    registry.administrators.revoke(tx, ADMIN)
    registry.administrators.revoke(tx, ADMIN)

    assert [each.status for each in registry.administrators.every(tx)] == ["revoked"]


# --- one-time passwords ---------------------------------------------------------------------------


def test_five_tries_and_no_more_however_many_ask_at_once(registry: Registry) -> None:
    with registry.writing() as tx:
        registry.passwords.set(tx, a_password())

    def take(_number: int) -> bytes | None:
        with registry.writing() as tx:
            return registry.passwords.take_attempt(tx, ADA, 50)

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(24)))

    assert taken.count(b"$2b$") == 5
    assert taken.count(None) == 19


def test_a_try_that_was_right_is_given_back(registry: Registry, tx: Connection) -> None:
    registry.passwords.set(tx, a_password(attempts=1))

    for _ in range(3):
        hashed = registry.passwords.take_attempt(tx, ADA, 50)
        assert hashed == b"$2b$"
        registry.passwords.give_back(tx, ADA, hashed)

    registry.passwords.give_back(tx, ADA, b"the hash of an older password")
    assert registry.passwords.take_attempt(tx, ADA, 50) is not None
    assert registry.passwords.take_attempt(tx, ADA, 50) is None


def test_a_password_ends_with_its_time(registry: Registry, tx: Connection) -> None:
    registry.passwords.set(tx, a_password())

    assert registry.passwords.take_attempt(tx, ADA, 99) is not None
    assert registry.passwords.take_attempt(tx, ADA, 100) is None


def test_a_spent_password_is_spent_once_and_for_all(registry: Registry, tx: Connection) -> None:
    registry.passwords.set(tx, a_password())
    registry.passwords.spend(tx, ADA, 60)

    assert registry.passwords.take_attempt(tx, ADA, 61) is None
    with pytest.raises(Conflict, match="spent"):
        registry.passwords.spend(tx, ADA, 62)


def test_a_new_password_takes_the_place_of_the_old(registry: Registry, tx: Connection) -> None:
    registry.passwords.set(tx, a_password(attempts=0))
    registry.passwords.set(tx, a_password(attempts=2))

    found = registry.passwords.find(tx, ADA)
    assert found is not None
    assert found.attempts_left == 2
    assert registry.passwords.take_attempt(tx, BOB, 50) is None


# --- enrolments -----------------------------------------------------------------------------------


def test_opening_again_replaces_the_open_enrolment(registry: Registry, tx: Connection) -> None:
    registry.enrolments.open(tx, an_enrolment("aa"))
    registry.enrolments.open(tx, an_enrolment("bb"))

    assert registry.enrolments.by_secret(tx, ADA, "bb").state == "open"
    with pytest.raises(NotFound):
        registry.enrolments.by_secret(tx, ADA, "aa")


def received(registry: Registry, tx: Connection, secret: str, doctor: str = ADA) -> Enrolment:
    registry.enrolments.open(tx, an_enrolment(secret, doctor))
    opened = registry.enrolments.by_secret(tx, doctor, secret)
    return registry.enrolments.receive(tx, opened, request=b"{}", statement_hash="ab" * 32, words="a b c", now=50)


def test_a_secret_of_another_doctor_opens_nothing(registry: Registry, tx: Connection) -> None:
    received(registry, tx, "aa")

    with pytest.raises(NotFound):
        registry.enrolments.by_secret(tx, BOB, "aa")


def test_received_keys_wait_and_nothing_else_opens_meanwhile(registry: Registry, tx: Connection) -> None:
    pending = received(registry, tx, "aa")

    assert registry.enrolments.pending(tx, ADA) == pending
    with pytest.raises(Conflict, match="wait"):
        registry.enrolments.open(tx, an_enrolment("bb"))
    with pytest.raises(Conflict, match="no keys any more"):
        registry.enrolments.receive(tx, pending, request=b"[]", statement_hash="cd" * 32, words="d e f", now=51)


def test_keys_after_the_end_are_refused(registry: Registry, tx: Connection) -> None:
    registry.enrolments.open(tx, an_enrolment("aa"))
    opened = registry.enrolments.by_secret(tx, ADA, "aa")

    with pytest.raises(Conflict):
        registry.enrolments.receive(tx, opened, request=b"{}", statement_hash="ab" * 32, words="a", now=100)


def test_an_enrolment_is_decided_once(registry: Registry, tx: Connection) -> None:
    pending = received(registry, tx, "aa")
    decided = registry.enrolments.decide(tx, pending, "issued", administrator=ADMIN, now=60, log_index=3)

    assert registry.enrolments.by_secret(tx, ADA, "aa") == decided
    for stale in (pending, decided):
        with pytest.raises(Conflict):
            registry.enrolments.decide(tx, stale, "rejected", administrator=ADMIN, now=61, log_index=4)
    with pytest.raises(Conflict, match="wait"):
        registry.enrolments.pending(tx, ADA)
    registry.enrolments.open(tx, an_enrolment("bb"))


def test_pending_enrolments_are_listed_by_doctor(registry: Registry, tx: Connection) -> None:
    for secret, doctor in (("aa", BOB), ("bb", ADA)):
        received(registry, tx, secret, doctor)

    assert [each.doctor for each in registry.enrolments.page(tx, "pending", limit=9)] == [ADA, BOB]
    assert [each.doctor for each in registry.enrolments.page(tx, "pending", after=ADA, limit=9)] == [BOB]


# --- certificates and keys ------------------------------------------------------------------------


def test_a_certificate_is_active_in_its_time_and_until_revoked(registry: Registry, tx: Connection) -> None:
    registry.certificates.add(tx, a_certificate("aa" * 32))
    present = registry.certificates.get(tx, "aa" * 32)

    assert [present.is_active(now) for now in (9, 10, 20, 21)] == [False, True, True, False]
    revoked = registry.certificates.revoke(tx, "aa" * 32, now=15, reason="lost", log_index=7, compromised_since=12)
    assert registry.certificates.find(tx, "aa" * 32) == revoked
    assert not revoked.is_active(15)
    with pytest.raises(Conflict, match="before"):
        registry.certificates.revoke(tx, "aa" * 32, now=16, reason="again", log_index=8)


def test_a_crl_lists_the_revoked_certificates_of_its_issuer_alone(registry: Registry, tx: Connection) -> None:
    for sha256, issuer in (("aa" * 32, "CN=doctors"), ("bb" * 32, "CN=doctors"), ("cc" * 32, "CN=pq")):
        registry.certificates.add(tx, a_certificate(sha256, issuer=issuer))
    for sha256 in ("aa" * 32, "cc" * 32):
        registry.certificates.revoke(tx, sha256, now=15, reason="lost", log_index=7)

    assert [each.sha256 for each in registry.certificates.revoked_by(tx, "CN=doctors")] == ["aa" * 32]
    assert len(registry.certificates.of_owner(tx, ADA)) == 3


def test_an_issuer_uses_a_serial_once(registry: Registry) -> None:
    with pytest.raises(Conflict), registry.writing() as tx:  # noqa: PT012 - the second is the promise
        registry.certificates.add(tx, a_certificate("aa" * 32, serial="01"))
        registry.certificates.add(tx, a_certificate("bb" * 32, serial="01"))


def test_a_key_is_certified_for_one_doctor(registry: Registry) -> None:
    key = EnrolledKey(
        signing_key_hash="0a" * 32, doctor=ADA, signing_certificate="aa" * 32, tls_certificate="bb" * 32, issued_at=5
    )
    with registry.writing() as tx:
        registry.certificates.add(tx, a_certificate("aa" * 32, role="doctor-signing"))
        registry.certificates.add(tx, a_certificate("bb" * 32))
        registry.enrolled_keys.add(tx, key)

    with registry.reading() as tx:
        assert registry.enrolled_keys.get(tx, "0a" * 32) == key
        assert registry.enrolled_keys.signing_certificate(tx, "bb" * 32) == key.signing_certificate
        assert registry.enrolled_keys.of_doctor(tx, ADA) == (key,)
    with pytest.raises(Conflict), registry.writing() as tx:
        registry.enrolled_keys.add(tx, key)
