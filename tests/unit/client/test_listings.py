from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.small_vault import SmallVault
from vaultq_client.client import Client
from vaultq_client.manifests import RecordDetails
from vaultq_core.errors import NotVerified
from vaultq_core.wire import paths

PATIENT = "00000000-0000-4000-8000-000000000000"


def test_records_are_listed_in_order_with_their_corrections(
    client: Client, scan: Path, details: RecordDetails, patient: str
) -> None:
    first = client.put(scan, details).record
    correction = RecordDetails(patient, replaces=client.replacing(patient, first, "wrong side"))
    second = client.put(scan, correction).record

    listed = client.records(patient)
    assert [(each.record, each.replaces, each.replaced_by) for each in listed] == [
        (first, None, second), (second, first, None),
    ]  # fmt: skip


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_record_that_is_left_out_of_the_list_is_an_error(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails, patient: str, which: int
) -> None:
    records = [client.put(scan, details).record for _ in range(3)]
    vault.hidden = {records[which]}

    with pytest.raises(NotVerified, match=r"missing from the list|lists 2 records, but counts 3"):
        client.records(patient)


def test_another_patients_record_in_the_list_is_an_error(client: Client, scan: Path, details: RecordDetails) -> None:
    client.put(scan, details)

    with pytest.raises(NotVerified, match="another patient's"):
        client.records(PATIENT)


def test_nothing_personal_stands_in_a_url(
    client: Client, vault: SmallVault, scan: Path, details: RecordDetails
) -> None:
    client.records(details.patient)
    client.put(scan, details)

    assert set(vault.asked) <= {
        f"GET {paths.VAULT}", f"GET {paths.CONSISTENCY}", f"POST {paths.RECORDS}", f"POST {paths.REQUESTS}",
    }  # fmt: skip
