"""`vaultq-server rotate-master`: while doctors work, killed at any moment, and twice at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete

from tests.fixtures.busy_doctor import busy
from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.killed import killed_at
from tests.fixtures.still_vault import PATIENTS, begin, does, keyring_of, outcome, still_vault
from tools.throwaway_vault import KeystoreName
from vaultq_core.errors import Conflict
from vaultq_core.registry.tables.vault import leases
from vaultq_core.server.services.keys_lease import LEASE
from vaultq_core.server.services.rotation import rotate_master
from vaultq_core.spi.keystore import MASTER


@pytest.fixture
def still(tmp_path: Path, keystore: KeystoreName) -> Vault:
    return still_vault(tmp_path, keystore)


def versions(vault: Vault) -> set[int]:
    """Return the versions of the master key that any row cites."""
    sealed = {int(key.rpartition(":")[2]) for (key,) in vault.rows("SELECT key_id FROM sealed_keys")}
    return sealed | {version for (version,) in vault.rows("SELECT key_version FROM patients")}


def test_doctors_go_on_working_while_the_master_key_is_rotated_and_destroyed(vault: Vault, ada: EnrolledDoctor) -> None:
    with busy(vault, ada) as work:
        work.at_least(3)
        for _ in range(3):
            done = does(vault, "rotate-master")
            assert (done["continued"], done["sealed_keys"], len(done["uncited"])) == (False, 6, 1)
            assert does(vault, "keystore", "retire", "--yes", *done["uncited"]) == {"destroyed": done["uncited"]}
        work.at_least(3)

    assert len(versions(vault)) == 1
    for record, content in work.contents.items():
        assert ada.get(record) == content
    vault.restart()
    assert ada.get(next(iter(work.contents))) == next(iter(work.contents.values()))


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(still: Vault) -> None:
    before = versions(still)

    planned = does(still, "rotate-master", "--dry-run")

    assert planned["rows"] == 6 + len(PATIENTS)
    assert (planned["continues"], int(planned["newest"].rpartition(":")[2])) == (False, *before)
    assert versions(still) == before


@pytest.mark.timeout(300)
def test_a_rotation_that_is_killed_at_any_moment_goes_on_where_it_ended(still: Vault) -> None:
    def rotate() -> None:
        with keyring_of(still) as keyring:
            rotate_master(keyring, lambda *_: None, lambda: None)

    moment = 0
    while killed_at(moment := moment + 1, rotate):
        with keyring_of(still) as keyring:
            with keyring.registry.writing() as tx:
                tx.execute(delete(leases))  # as if its 30 seconds had passed
            made = [each.key_id for each in keyring.keystore.info().keys if each.key_id.purpose == MASTER]
            interrupted = versions(still) != {made[-1].version}
            done = rotate_master(keyring, lambda *_: None, lambda: None)
            assert done.continued == interrupted
            assert versions(still) == {done.key.version}
            for patient in PATIENTS:
                keyring.patient_keys.open(keyring.registry.patient(patient))
            for each in done.uncited:
                keyring.keystore.destroy_key(each)

    assert moment > 2 * (1 + 2 * (6 + len(PATIENTS)))


def test_two_rotations_at_once_take_turns(still: Vault) -> None:
    both = [begin(still, "rotate-master"), begin(still, "rotate-master")]

    keys = {outcome(each)["key"] for each in both}

    assert keys == {"master:AES-256:2", "master:AES-256:3"}
    assert versions(still) == {3}


def test_who_read_a_row_before_a_rotation_opens_it_after_the_former_key_is_destroyed(still: Vault) -> None:
    with keyring_of(still) as keyring:
        read = keyring.registry.patient(PATIENTS[0])
        (former,) = rotate_master(keyring, lambda *_: None, lambda: None).uncited
        keyring.keystore.destroy_key(former)

        assert keyring.patient_keys.open(read) == keyring.patient_keys.open(keyring.registry.patient(read.id))


def test_a_rotation_that_fell_asleep_writes_nothing_after_another_one_took_over(still: Vault) -> None:
    with keyring_of(still) as keyring:

        def falls_asleep(what: str, _done: int, _total: int) -> None:
            assert what == "sealed keys"
            with keyring.registry.writing() as tx:
                keyring.registry.leases.seize(tx, LEASE, "another", now=keyring.seconds(), seconds=30)

        with pytest.raises(Conflict, match="took over"):
            rotate_master(keyring, falls_asleep, lambda: None)

    assert still.rows("SELECT DISTINCT key_version FROM patients") == [(1,)]
    assert still.rows("SELECT holder FROM leases WHERE name = ?", LEASE) == [("another",)]
