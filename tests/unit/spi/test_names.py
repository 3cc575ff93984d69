from __future__ import annotations

import uuid

import pytest

from vaultq_core.errors import StorageError
from vaultq_core.spi.names import checkpoint_name, is_object_name, list_prefix, object_name, record_name
from vaultq_core.spi.testing.storage_contract import REFUSED_NAMES

PATIENT, RECORD = str(uuid.uuid4()), str(uuid.uuid4())


def test_a_record_and_a_checkpoint_have_names() -> None:
    assert record_name(PATIENT, RECORD, "a1" * 8) == f"vault/{PATIENT}/{RECORD}.{'a1' * 8}.vqr"
    assert checkpoint_name(42) == "log/00000000000000000042.ckpt"
    assert object_name(checkpoint_name(10**20 - 1)) == "log/99999999999999999999.ckpt"


@pytest.mark.parametrize("name", REFUSED_NAMES.values(), ids=REFUSED_NAMES.keys())
def test_no_other_name_gets_in(name: str) -> None:
    assert not is_object_name(name)
    with pytest.raises(StorageError) as raised:
        object_name(name)
    assert not name or name not in str(raised.value)


@pytest.mark.parametrize(
    ("patient", "record", "suffix"),
    [
        ("..", RECORD, "a" * 16),
        (PATIENT, "../" + RECORD, "a" * 16),
        (PATIENT.upper(), RECORD, "a" * 16),
        (PATIENT, RECORD, "a" * 15),
        (PATIENT, RECORD, "A" * 16),
        (PATIENT, RECORD, "a/" * 8),
        (PATIENT, str(uuid.UUID(int=1)), "a" * 16),
    ],
)
def test_a_name_is_not_made_of_what_is_no_id(patient: str, record: str, suffix: str) -> None:
    with pytest.raises(StorageError):
        record_name(patient, record, suffix)


@pytest.mark.parametrize("size", [-1, 10**20])
def test_a_checkpoint_of_an_impossible_size_has_no_name(size: int) -> None:
    with pytest.raises(StorageError):
        checkpoint_name(size)


@pytest.mark.parametrize("prefix", ["vault/", f"vault/{PATIENT}/", f"vault/{PATIENT}/{RECORD}.", "log/"])
def test_names_are_listed_by_whole_steps(prefix: str) -> None:
    assert list_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "vault", "vault/..", f"vault/{PATIENT}", f"vault/{PATIENT}/{RECORD}", "log/0"])
def test_no_other_prefix_is_listed(prefix: str) -> None:
    with pytest.raises(StorageError):
        list_prefix(prefix)
