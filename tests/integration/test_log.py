"""The log as doctors, administrators and courts see it: one history, the same for all (promise 7)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.forging import Forger
from vaultq_client.bundles import read_bundle
from vaultq_client.checks import Verdict, load_roots, verify_bundle
from vaultq_client.seen import load_seen
from vaultq_core.crypto.checkpoints import Checkpoint, verify_checkpoint
from vaultq_core.crypto.merkle import verify_consistency
from vaultq_core.crypto.receipts import verify_receipt
from vaultq_core.errors import NotVerified, VaultQError
from vaultq_core.wire import paths
from vaultq_core.wire.api import Consistency
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.sealed_request import RecordGet, RecordHead


def checkpoint(vault: Vault, doctor: EnrolledDoctor) -> Checkpoint:
    answer = vault.call("records", doctor.tls, "GET", paths.CHECKPOINT)
    assert answer.status == 200
    return verify_checkpoint(answer.body.decode(), doctor.client.session.view.statement.log)


def test_every_checkpoint_continues_every_earlier_one(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    seen = [checkpoint(vault, ada)]
    for doctor in (ada, bob, ada):
        doctor.new_patient()
        seen.append(checkpoint(vault, doctor))

    for index, first in enumerate(seen):
        for second in seen[index:]:
            query = f"?first={first.size}&second={second.size}"
            answer = vault.call("records", bob.tls, "GET", paths.CONSISTENCY + query)
            proof = msgspec.json.decode(answer.body, type=Consistency)
            verify_consistency(first.size, first.root, second.size, second.root, proof.path)


def test_two_clients_see_one_growing_log(vault: Vault, ada: EnrolledDoctor, bob: EnrolledDoctor) -> None:
    sizes = []
    for doctor in (ada, bob, ada, bob):
        doctor.new_patient()
        seen = load_seen(doctor.client.session.home, doctor.client.session.vault).checkpoint()
        assert seen is not None
        sizes.append(seen.size)

    assert sizes == sorted(sizes)
    assert sizes[-1] == vault.log_size()


def test_a_checkpoint_that_its_author_saw_stands_in_the_manifest(vault: Vault, ada: EnrolledDoctor) -> None:
    patient = ada.new_patient()
    stored, first = ada.put(patient), vault.log_size()
    ada.put(patient)

    with ada.client.session.ask_for_content(RecordGet(record=stored.record), RecordHead) as (head, content):
        manifest = msgspec.json.decode(head.signed.manifest)
        assert any(content)
    assert manifest["checkpoint"]["size"] < first
    assert manifest["checkpoint"]["size"] > 0


def test_a_receipt_is_proven_against_the_statements_keys_alone(vault: Vault, ada: EnrolledDoctor) -> None:
    forger = Forger(vault, ada)
    text = forger.upload(forger.frame(forger.sign(forger.manifest(ada.new_patient())))).body.decode()
    log = ada.client.session.view.statement.log

    position = verify_receipt(decode_receipt(text), log)

    assert vault.log_entries(position.index)[0] == msgspec.json.decode(decode_receipt(text).logged.entry)
    with pytest.raises(NotVerified):
        verify_receipt(decode_receipt(text), msgspec.structs.replace(log, ed25519=bytes(32)))


def test_log_times_never_go_back(vault: Vault, ada: EnrolledDoctor) -> None:
    ada.put(ada.new_patient())

    times = [time for (time,) in vault.rows("SELECT time FROM log_entries ORDER BY log_index")]

    assert times == sorted(times)


def test_an_administrator_reads_every_entry_and_no_name(vault: Vault, ada: EnrolledDoctor) -> None:
    ada.put(ada.new_patient("Geheime Patientin", "4711-geheim"), title="Geheimer Befund")

    rows = list(vault.admin.log())

    assert [row.index for row in rows] == list(range(len(rows)))
    assert len(rows) == vault.log_size()
    assert {"vault-created", "statement-published", "certificates-issued", "record-stored"} <= {
        msgspec.json.decode(row.entry)["kind"] for row in rows
    }
    assert b"eheim" not in b"".join(bytes(row.entry) for row in rows)


# --- bundles --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(ada: EnrolledDoctor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record's content with its evidence, as given to a court."""
    place = tmp_path_factory.mktemp("court")
    stored = ada.put(ada.new_patient(), b"the finding", title="CT abdomen")
    ada.client.get(stored.record, place / "finding.txt", bundle=place / "finding.vaultq")
    return place


def verify(place: Path, roots: Path, content: bytes | None = None) -> Verdict:
    chunks = [(place / "finding.txt").read_bytes() if content is None else content]
    return verify_bundle(read_bundle(place / "finding.vaultq"), chunks, load_roots(roots), lambda *_: None)


def test_a_bundle_proves_a_record_without_a_server(ada: EnrolledDoctor, exported: Path) -> None:
    verdict = verify(exported, ada.home)

    assert (verdict.result, verdict.author, verdict.title) == ("verified", ada.id, "CT abdomen")
    assert verdict.second_verifier_signatures > 0
    assert abs(verdict.time - dt.datetime.now(dt.UTC).timestamp()) < 3600


def test_a_bundle_proves_no_other_content(ada: EnrolledDoctor, exported: Path) -> None:
    with pytest.raises(NotVerified, match="step 6"):
        verify(exported, ada.home, b"another finding")


def test_a_bundle_with_any_bit_changed_proves_nothing(ada: EnrolledDoctor, exported: Path, tmp_path: Path) -> None:
    bundle = (exported / "finding.vaultq").read_bytes()
    (tmp_path / "finding.txt").write_bytes((exported / "finding.txt").read_bytes())
    for at in range(200, len(bundle) - 1, len(bundle) // 12):
        (tmp_path / "finding.vaultq").write_bytes(bundle[:at] + bytes([bundle[at] ^ 2]) + bundle[at + 1 :])
        with pytest.raises(VaultQError):
            verify(tmp_path, ada.home)
