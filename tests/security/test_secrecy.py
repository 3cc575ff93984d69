"""After a whole session: no log, file or argument list holds a secret or anything of a patient (promises 4 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tools.throwaway_doctors import PASSPHRASE
from vaultq_client.manifests import RecordDetails
from vaultq_core.errors import NotFound, VaultQError
from vaultq_core.wire.sealed_request import Demographics, RecordNumber

NAME, NUMBER, BIRTH = "Wilhelmine Geheimrat", "MRN-88-4711-X", "1931-07-14"
TITLE, FILE, CONTENT = (
    "Mammographie rechts Verdacht",
    "wilhelmine-mammo.txt",
    b"Karzinom, histologisch gesichert. " * 900,
)
REASON = "Seite verwechselt rechts links"


@dataclass(frozen=True, slots=True)
class Session:
    """What a working day leaves behind, and what of it must be nowhere in the clear."""

    vault: Vault
    doctor: EnrolledDoctor
    password: str
    keys: tuple[bytes, ...] = field(repr=False)

    @property
    def personal(self) -> dict[str, bytes]:
        parts = {"name": NAME, "number": NUMBER, "birth date": BIRTH, "title": TITLE, "file": FILE, "reason": REASON}
        content = {"content": CONTENT[:34], "content, later": CONTENT[5000:5034]}
        return {name: text.encode() for name, text in parts.items()} | content

    @property
    def secret(self) -> dict[str, bytes]:
        made = self.vault.made
        known = {
            "administrator's passphrase": made.admin_passphrase.encode(),
            "keystore's passphrase": (made.directory / "keystore-passphrase").read_bytes().strip(),
            "doctor's passphrase": PASSPHRASE.encode(),
            "one-time password": self.password.encode(),
            "recovery key": (made.directory / "recovery-key").read_bytes().split()[-1],
        }
        return known | {f"key {index}": key for index, key in enumerate(self.keys)}


@pytest.fixture(scope="module")
def session(vault: Vault, ada: EnrolledDoctor) -> Session:
    number = RecordNumber(authority="St. Elsewhere", number=NUMBER)
    patient = ada.client.add_patient(Demographics(name=NAME, birth_date=BIRTH, record_number=number)).patient
    stored = ada.put(patient, CONTENT, name=FILE, title=TITLE)
    replaces = ada.client.replacing(patient, stored.record, REASON)
    ada.client.put(ada.file(CONTENT[::-1], FILE), RecordDetails(patient=patient, title=TITLE, replaces=replaces))
    ada.get(stored.record)
    assert ada.client.find_patient(number)[0].demographics.name == NAME
    provision = vault.admin.add_doctor("Dr. New")
    _go_wrong(vault, ada, patient)
    vault.restart()
    assert ada.client.records(patient)
    return Session(vault, ada, provision.password, _keys(vault))


def _go_wrong(vault: Vault, ada: EnrolledDoctor, patient: str) -> None:
    """Errors are where things leak."""
    bob = vault.enrol("Dr. Robert Koch")
    with pytest.raises(NotFound):
        bob.put(patient, CONTENT, name=FILE, title=TITLE)
    with pytest.raises(NotFound):
        bob.client.find_patient(RecordNumber(authority="St. Elsewhere", number=NUMBER))
    with pytest.raises(VaultQError):
        ada.client.add_patient(
            Demographics(
                name=NAME, birth_date=None, record_number=RecordNumber(authority="St. Elsewhere", number=NUMBER)
            )
        )
    damaged = ada.put(patient, CONTENT, title=TITLE)
    vault.object_of(damaged.record).write_bytes(b"nonsense")
    with pytest.raises(VaultQError):
        ada.client.get(damaged.record, ada.destination)
    vault.call("enrolment", None, "POST", f"/v1/enrolments?number={NUMBER}", f'{{"name": "{NUMBER}"}}'.encode())


def _keys(vault: Vault) -> tuple[bytes, ...]:
    with vault.desk() as desk:
        keys = desk.keys
        return (
            keys.index_key, keys.row_key, keys.log.ed25519.private_bytes_raw(), keys.log.mldsa44.private_bytes_raw()
        )  # fmt: skip


def _server_files(session: Session) -> Iterator[Path]:
    """Everything the server has written: what lies in the vault's directory, but for the doctors' own homes."""
    kept = {"keystore-passphrase", "admin-passphrase", "recovery-key"}
    for path in session.vault.directory.rglob("*"):
        inside = path.relative_to(session.vault.directory).parts
        if path.is_file() and not inside[0].startswith("home-") and inside[0] not in kept:
            yield path


def test_the_session_left_traces_to_look_through(session: Session) -> None:
    """The other tests of this page look at something."""
    found = {path.relative_to(session.vault.directory).parts[0] for path in _server_files(session)}

    assert {"registry.db", "objects", "keystore", "data", "server.log"} <= found
    assert session.vault.log().count('"event": "request"') > 10


def test_nothing_of_a_patient_lies_in_any_file_of_the_server(session: Session) -> None:
    _assert_nowhere(session, session.personal)


def test_no_secret_lies_in_any_file_of_the_server(session: Session) -> None:
    _assert_nowhere(session, session.secret)


def test_no_private_key_lies_in_the_clear(session: Session) -> None:
    for path in _server_files(session):
        data = path.read_bytes()
        assert b"BEGIN PRIVATE KEY" not in data, path
        assert b"BEGIN EC PRIVATE KEY" not in data, path


def test_the_log_names_no_patient_by_more_than_an_id(session: Session) -> None:
    log = session.vault.log()

    for name, text in (session.personal | session.secret).items():
        assert text.decode(errors="replace") not in log, name


def test_no_process_has_a_secret_or_anything_personal_in_its_arguments(session: Session) -> None:
    for pid in (session.vault.pid, *session.vault.workers()):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"serve" in arguments
        for name, text in (session.personal | session.secret).items():
            assert text not in arguments, name
            assert text not in environment, name


def test_the_servers_files_are_private(session: Session) -> None:
    directory = session.vault.directory
    private = [directory / "keystore", *(directory / "data" / "admin").iterdir(), *session.vault.objects()]

    for path in private:
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"


def test_the_doctors_own_home_holds_nothing_in_the_clear_either(session: Session) -> None:
    """But for the files that the doctor put there themselves."""
    home, keys = session.doctor.home, session.doctor.keys
    secret = {
        "signing key": keys.signing.mldsa65.private_bytes_raw(),
        "TLS key": keys.tls.private_numbers().private_value.to_bytes(32, "big"),
        "passphrase": PASSPHRASE.encode(),
    }
    for path in (each for each in home.rglob("*") if each.is_file() and each.parent.name != "files"):
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"
        for name, text in (session.personal | secret).items():
            assert text not in path.read_bytes(), (name, path)


def _assert_nowhere(session: Session, secrets: dict[str, bytes]) -> None:
    for path in _server_files(session):
        data = path.read_bytes()
        for name, text in secrets.items():
            for form in (text, text.hex().encode(), text.decode(errors="ignore").encode("utf-16-le")):
                assert len(form) < 8 or form not in data, f"{name} lies in {path}"
