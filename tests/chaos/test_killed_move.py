"""A move of keys to another keystore, killed at one moment after the other: before and after each call and commit.

Each time it is run again, and then everything has to open with the new keystore alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete

from tests.fixtures.exposed_vault import Vault
from tests.fixtures.killed import killed_at
from tests.fixtures.still_vault import PATIENTS, add_next_keystore, keyring_of, make_next_the_keystore, still_vault
from vaultq_core.registry.tables.vault import leases
from vaultq_core.server.services.moving import move_keys

CAS = ("admins-ca", "doctors-ca", "root-ca", "servers-ca")


def require_all_in_next(vault: Vault) -> None:
    """Everything opens, and all is signed, with the new keystore alone."""
    make_next_the_keystore(vault)
    (vault.directory / "keystore").unlink()
    with keyring_of(vault) as keyring:
        for patient in PATIENTS:
            keyring.patient_keys.open(keyring.registry.patient(patient))
    with vault.desk() as desk:
        (month,) = (month for (month,) in vault.rows("SELECT id FROM kem_keys"))
        desk.kem_keys.get(month)
        for role in ("doctors", "admins", "servers"):
            desk.authorities.issuer(role)


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=[pytest.mark.chaos, pytest.mark.timeout(3000)])])
def test_a_move_that_is_killed_at_any_moment_goes_on_where_it_ended(tmp_path: Path, step: int) -> None:
    still = still_vault(tmp_path / "vault")
    add_next_keystore(still)
    shutil.copytree(still.directory, tmp_path / "before")

    def migrate() -> None:
        with keyring_of(still) as keyring:
            move_keys(keyring, lambda *_: None, lambda: None)

    moment = 0
    while killed_at(moment := moment + step, migrate):
        with keyring_of(still) as keyring:
            with keyring.registry.writing() as tx:
                tx.execute(delete(leases))  # as if their time had passed
            done = move_keys(keyring, lambda *_: None, lambda: None)
            assert (done.left, done.is_finished) == ((), True)
            held = [each.key_id for each in keyring.moving.new.info().keys]
            assert [each.purpose for each in held if each.purpose in CAS] == sorted(CAS), held
            with keyring.registry.reading() as tx:
                assert keyring.registry.keystore_moves.running(tx) is None
        require_all_in_next(still)
        shutil.rmtree(still.directory)
        shutil.copytree(tmp_path / "before", still.directory)

    assert moment > 2 * (1 + 2 * (6 + len(PATIENTS)) + 3 + 2 * 4)
