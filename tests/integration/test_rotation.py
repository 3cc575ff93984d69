"""`vaultq-server rotate-master`: while doctors work, killed at any moment, and twice at once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from tests.fixtures.busy_doctor import busy
from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tests.fixtures.killed import killed_at
from tools.throwaway_vault import ThrowawayVault, command
from vaultq_core.registry.doctors import Doctor
from vaultq_core.registry.patients import Patient
from vaultq_core.registry.tables.vault import leases
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import Keyring, open_keyring
from vaultq_core.server.services.rotation import rotate_master
from vaultq_core.spi.keystore import MASTER

PATIENTS = 3


@pytest.fixture
def still(tmp_path: Path) -> Vault:
    """A vault that nobody serves, with some patients."""
    tmp_path.chmod(0o700)
    vault = Vault(ThrowawayVault.create(tmp_path, workers=1))
    with open_keyring(load_config(vault.made.config), None) as keyring:
        with keyring.registry.writing() as tx:
            keyring.registry.doctors.add(tx, Doctor(id="dr-0000000001", name="Ada", status="provisioned", created=1))
        for number in range(PATIENTS):
            add_patient(keyring, f"00000000-0000-4000-8000-{number:012}")
    return vault


def add_patient(keyring: Keyring, patient: str) -> None:
    new = keyring.patient_keys.make(patient)
    row = Patient(
        id=patient,
        created=1,
        founder="dr-0000000001",
        wrapped_key=bytes(new.wrapped),
        key_version=new.wrapped.key_id.version,
        recovery_key=new.sealed_for_recovery,
    )
    with keyring.registry.writing() as tx:
        keyring.registry.patients.add(tx, row)


def rotation(vault: Vault, *arguments: str) -> subprocess.Popen[str]:
    given = (command("vaultq-server"), "rotate-master", "--json", "--config", str(vault.made.config), *arguments)
    return subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    return dict(json.loads(output))


def versions(vault: Vault) -> set[int]:
    """Return the versions of the master key that any row cites."""
    sealed = {int(key.rpartition(":")[2]) for (key,) in vault.rows("SELECT key_id FROM sealed_keys")}
    return sealed | {version for (version,) in vault.rows("SELECT key_version FROM patients")}


def test_doctors_go_on_working_while_the_master_key_is_rotated(vault: Vault, ada: EnrolledDoctor) -> None:
    with busy(vault, ada) as work:
        work.at_least(3)
        rotations = [outcome(rotation(vault)) for _ in range(3)]
        work.at_least(3)

    assert [(done["continued"], done["sealed_keys"]) for done in rotations] == [(False, 6)] * 3
    assert versions(vault) == {int(rotations[-1]["key"].rpartition(":")[2])}
    for record, content in work.contents.items():
        assert ada.get(record) == content
    vault.restart()
    assert ada.get(next(iter(work.contents))) == next(iter(work.contents.values()))


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(still: Vault) -> None:
    before = versions(still)

    planned = outcome(rotation(still, "--dry-run"))

    assert planned["rows"] == 6 + PATIENTS
    assert (planned["continues"], int(planned["newest"].rpartition(":")[2])) == (False, *before)
    assert versions(still) == before


@pytest.mark.timeout(300)
def test_a_rotation_that_is_killed_at_any_moment_goes_on_where_it_ended(still: Vault) -> None:
    config = load_config(still.made.config)

    def rotate() -> None:
        with open_keyring(config, None) as keyring:
            rotate_master(keyring, lambda *_: None, lambda: None)

    moment = 0
    while killed_at(moment := moment + 1, rotate):
        with open_keyring(config, None) as keyring:
            with keyring.registry.writing() as tx:
                tx.execute(delete(leases))  # as if its 30 seconds had passed
            made = [each.key_id for each in keyring.keystore.info().keys if each.key_id.purpose == MASTER]
            interrupted = versions(still) != {made[-1].version}
            done = rotate_master(keyring, lambda *_: None, lambda: None)
            assert done.continued == interrupted
            assert versions(still) == {done.key.version}
            for number in range(PATIENTS):
                with keyring.registry.reading() as tx:
                    row = keyring.registry.patients.get(tx, f"00000000-0000-4000-8000-{number:012}")
                keyring.patient_keys.open(row)
            for each in done.uncited:
                keyring.keystore.destroy_key(each)

    assert moment > 2 * (1 + 2 * (6 + PATIENTS))


def test_two_rotations_at_once_take_turns(still: Vault) -> None:
    both = [rotation(still), rotation(still)]

    keys = {outcome(each)["key"] for each in both}

    assert keys == {"master:AES-256:2", "master:AES-256:3"}
    assert versions(still) == {3}


def test_who_read_a_row_before_a_rotation_opens_it_after_the_former_key_is_destroyed(still: Vault) -> None:
    with open_keyring(load_config(still.made.config), None) as keyring:
        read = keyring.registry.patient("00000000-0000-4000-8000-000000000000")
        (former,) = rotate_master(keyring, lambda *_: None, lambda: None).uncited
        keyring.keystore.destroy_key(former)

        assert keyring.patient_keys.open(read) == keyring.patient_keys.open(keyring.registry.patient(read.id))
