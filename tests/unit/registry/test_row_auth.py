"""What an attacker who can write to the database, and nothing else, is not able to do."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, update

from tests.unit.registry.example import ADA, BOB, PATIENT, ROW_KEY, a_record
from vaultq_core.errors import RecordDamaged
from vaultq_core.registry.administrators import Administrator
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.grants import Grant
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.row_auth import RowAuth, Value
from vaultq_core.registry.tables import metadata
from vaultq_core.spi.keystore import AES_256, AES_256_GCM, MASTER, KeyId, WrappedKey

GRANT = "22222222-2222-4222-8222-222222222222"
ADMIN = "ad-0000000000"
CERTIFICATE = "cc" * 32


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """A registry with one row of every authenticated table."""
    with registry.writing() as tx:
        registry.administrators.add(tx, Administrator(id=ADMIN, name="Eve", status="active", created=1))
        grant = Grant(
            id=GRANT, patient=PATIENT, doctor=ADA, role="read", until=9, statement=b"s", parent=None, log_index=1
        )
        registry.grants.add(tx, grant)
        registry.certificates.add(tx, a_certificate(CERTIFICATE))
        registry.records.add(tx, a_record(1))
    return registry


def a_certificate(sha256: str) -> CertificateRow:
    return CertificateRow(
        sha256=sha256,
        role="doctor-tls",
        owner=ADA,
        der=b"der",
        serial=sha256[:8],
        issuer="doctors",
        not_before=1,
        not_after=9,
    )


def read_all(registry: Registry, tx: Connection) -> None:
    registry.vault.get(tx)
    registry.doctors.page(tx, limit=9)
    registry.administrators.every(tx)
    registry.grants.get(tx, GRANT)
    registry.certificates.get(tx, CERTIFICATE)
    registry.patients.get(tx, PATIENT)
    registry.records.of_patient(tx, PATIENT, limit=9)
    registry.log.head(tx)


FORGERIES = [
    ("vault", "recovery_public_key", b"mine"),
    ("doctors", "status", "active"),
    ("doctors", "name", "Mallory"),
    ("administrators", "status", "revoked"),
    ("grants", "role", "own"),
    ("grants", "until", None),
    ("grants", "doctor", BOB),
    ("certificates", "status", "revoked"),
    ("certificates", "not_after", 99),
    ("certificates", "compromised_since", 5),
    ("patients", "record_counter", 7),
    ("patients", "wrapped_key", None),
    ("patients", "wrapped_key", b"another"),
    ("records", "author", BOB),
    ("records", "sealed_manifest", b"another"),
    ("records", "damaged_at", 1),
    ("log_head", "size", 5),
    ("log_head", "mac", b"m" * 32),
]


@pytest.mark.parametrize(("table", "column", "value"), FORGERIES)
def test_a_row_that_was_changed_in_the_database_is_refused(
    filled: Registry, table: str, column: str, value: Value
) -> None:
    with filled.reading() as tx:
        read_all(filled, tx)
    with filled.writing() as tx:
        tx.execute(update(metadata.tables[table]).values({column: value}))

    with filled.reading() as tx, pytest.raises(RecordDamaged, match=table):
        read_all(filled, tx)


def test_a_row_of_one_key_is_refused_under_another(registry: Registry) -> None:
    doctors = metadata.tables["doctors"]
    with registry.writing() as tx:
        registry.doctors.move(tx, BOB, "revoked")
        ada = tx.execute(doctors.select().where(doctors.c.id == ADA)).one()
        tx.execute(update(doctors).where(doctors.c.id == BOB).values(status=ada.status, name=ada.name, mac=ada.mac))

    with registry.reading() as tx, pytest.raises(RecordDamaged, match=BOB):
        registry.doctors.get(tx, BOB)


def test_a_row_that_changed_since_it_was_read_is_not_written(registry: Registry) -> None:
    with registry.writing() as tx:
        read = registry.patients.get(tx, PATIENT)
        registry.patients.next_record(tx, PATIENT)
        wrapped = WrappedKey(KeyId(MASTER, AES_256, 2), AES_256_GCM, b"new")
        assert registry.patients.rewrap_all(tx, [(read, wrapped)]) == 0
        assert registry.patients.get(tx, PATIENT).wrapped_key == read.wrapped_key


def test_another_row_key_reads_nothing(registry: Registry) -> None:
    stranger = Registry(registry.engine, b"x" * 32)

    with stranger.reading() as tx, pytest.raises(RecordDamaged):
        stranger.doctors.get(tx, ADA)


ROWS: list[tuple[str, dict[str, Value]]] = [
    ("t", {"a": 1}),
    ("t", {"a": "1"}),
    ("t", {"a": b"1"}),
    ("t", {"a": None}),
    ("t", {"a": "n"}),
    ("t", {"a": ""}),
    ("t", {"b": 1}),
    ("u", {"a": 1}),
    ("t", {"a": "1", "b": "2"}),
    ("t", {"a": "1b", "b": "2"}),
    ("t", {"a": "2", "b": "1"}),
]


def test_no_two_rows_have_the_same_code() -> None:
    auth = RowAuth(ROW_KEY)

    assert len({auth.mac(table, values) for table, values in ROWS}) == len(ROWS)


def test_a_row_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RowAuth(b"short")
