"""`vaultq-server keystore migrate`: while doctors work, killed at any moment, and refused where it would do harm."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fixtures.busy_doctor import busy
from tests.fixtures.exposed_vault import Vault, running_vault
from tests.fixtures.reloads import known, reload
from tests.fixtures.still_vault import (
    PATIENTS,
    add_next_keystore,
    does,
    keyring_of,
    make_next_the_keystore,
    refuses,
    still_vault,
)
from vaultq_core.errors import Conflict
from vaultq_core.registry.workers import WorkerRow
from vaultq_core.server.ceremony import make_monthly_key, make_statement
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.moving_keystore import MovingKeystore
from vaultq_core.server.services import maintenance, moving
from vaultq_core.server.services.keys_lease import KeysLease
from vaultq_core.server.services.moving import Moved, move_keys
from vaultq_core.spi.keystore import AES_256, MASTER, KeyId, Keystore, KeystoreInfo, WrappedKey

MIGRATE = ("keystore", "migrate", "--to", "file")
CAS = ("root-ca", "doctors-ca", "admins-ca", "servers-ca")


@pytest.fixture
def still(tmp_path: Path) -> Vault:
    return still_vault(tmp_path / "vault")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Vault]:
    with running_vault(tmp_path / "vault") as vault:
        yield vault


def move(keyring: Keyring, *, leave_ca_keys: bool = False) -> Moved:
    return move_keys(keyring, lambda *_: None, lambda: None, leave_ca_keys=leave_ca_keys)


@pytest.mark.timeout(300)
def test_doctors_go_on_working_while_keys_move_and_the_old_keystore_is_thrown_away(served: Vault) -> None:
    ada = served.enrol("Dr. Ada Lovelace")
    with busy(served, ada) as work:
        work.at_least(3)
        old, new = f"file {served.directory}/keystore", add_next_keystore(served)
        reload(served)

        done = does(served, *MIGRATE)

        assert (done["finished"], done["left"], done["months"], done["sealed_keys"]) == (True, [], 1, 6)
        assert (done["source"], done["target"], done["resumed"]) == (old, new, False)
        assert [each.partition(":")[0] for each in done["imported"]] == list(CAS)
        work.at_least(3)
        does(served, "keystore", "retire", "--yes", *done["unneeded"])
        assert {key["keystore"] for key in does(served, "keystore", "status")["keys"]} == {new}
        make_next_the_keystore(served)
        reload(served)
        (served.directory / "keystore").rename(served.directory / "thrown-away")
        work.at_least(3)

    for record, content in work.contents.items():
        assert ada.get(record) == content
    served.restart()
    assert known(served) == {new}
    assert ada.get(next(iter(work.contents))) == next(iter(work.contents.values()))
    served.enrol("Dr. Robert Koch")
    assert does(served, "check")["failed"] == 0


def test_a_dry_run_says_what_would_move_and_changes_nothing(still: Vault) -> None:
    add_next_keystore(still)
    before = does(still, "keystore", "status")

    planned = does(still, *MIGRATE, "--dry-run")

    assert (planned["rows"], planned["resumes"], planned["stays"]) == (6 + len(PATIENTS) + 1, False, [])
    assert [each.partition(":")[0] for each in planned["imports"]] == list(CAS)
    assert does(still, "keystore", "status") == before
    assert still.rows("SELECT * FROM keystore_moves") == []


def test_a_move_that_is_done_can_be_run_again_and_does_nothing(still: Vault) -> None:
    add_next_keystore(still)
    first = does(still, *MIGRATE)

    again = does(still, *MIGRATE)

    assert (first["resumed"], again["resumed"], again["finished"]) == (False, True, True)
    assert (again["sealed_keys"], again["patient_keys"], again["months"], again["imported"]) == (0, 0, 0, [])


def test_keys_move_nowhere_without_a_next_keystore_or_with_another_name(still: Vault) -> None:
    assert "[next_keystore]" in refuses(still, "config-invalid", *MIGRATE)
    add_next_keystore(still)
    assert "names file, not pkcs11" in refuses(still, "usage", "keystore", "migrate", "--to", "pkcs11")


def test_a_target_that_holds_keys_of_something_else_is_not_touched(still: Vault) -> None:
    """As when it is another vault's, or a copy of this one's."""
    add_next_keystore(still)
    with keyring_of(still) as keyring:
        keyring.moving.new.create_key("doctors-ca", "EC-P384")
        before = keyring.moving.new.info().keys

        with pytest.raises(Conflict, match="not touched"):
            move(keyring)

        assert keyring.moving.new.info().keys == before
    assert still.rows("SELECT * FROM keystore_moves") == []


def test_keys_do_not_move_while_a_worker_would_not_find_them(still: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    add_next_keystore(still)
    monkeypatch.setattr(moving, "WORKERS_SECONDS", 0.2)
    now = int(time.time())
    keystores = f"file {still.directory}/keystore"
    row = WorkerRow(holder="a/7", node="a", pid=7, version="0", keystores=keystores, started=now, seen=now)
    with keyring_of(still) as keyring:
        with keyring.registry.writing() as tx:
            keyring.registry.workers.put(tx, row)

        with pytest.raises(Conflict, match="the worker 7 on a does not have the keystore"):
            move(keyring)

        assert keyring.moving.new.info().keys == ()
    assert still.rows("SELECT * FROM keystore_moves") == []


class KeepsItsKeys:
    """A keystore that gives no signing key away, as a token does."""

    def __init__(self, inner: Keystore) -> None:
        self._inner = inner

    def info(self) -> KeystoreInfo:
        return replace(self._inner.info(), exports_signing_keys=False)

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        return self._inner.create_key(purpose, algorithm, above=above)

    def current_key(self, purpose: str) -> KeyId:
        return self._inner.current_key(purpose)

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        return self._inner.wrap_key(key, aad=aad, key_id=key_id)

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        return self._inner.unwrap_key(wrapped, aad=aad)

    def destroy_key(self, key_id: KeyId) -> None:
        self._inner.destroy_key(key_id)

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        return self._inner.signer(key_id)

    def close(self) -> None:
        self._inner.close()


def test_ca_keys_that_cannot_leave_stop_the_move_before_it_begins_unless_they_are_to_be_left(still: Vault) -> None:
    add_next_keystore(still)
    with keyring_of(still) as both:
        keyring = replace(both, keystore=MovingKeystore(KeepsItsKeys(both.moving.old), both.moving.new))
        with pytest.raises(Conflict, match="cannot leave"):
            move(keyring)
        assert keyring.moving.new.info().keys == ()

        done = move(keyring, leave_ca_keys=True)

        assert not done.is_finished
        assert {each.purpose for each in done.left} == set(CAS)
        assert [each.purpose for each in done.unneeded] == [
            each.purpose for each in done.unneeded if each.purpose not in CAS
        ]
        held = {each.key_id.purpose for each in keyring.moving.new.info().keys}
        assert MASTER in held
        assert not held & set(CAS)


def test_a_key_that_is_made_in_the_old_keystore_by_a_late_worker_is_not_left_behind(still: Vault) -> None:
    """Its maintenance began before the move did; nothing of it counts, and nothing is lost."""
    add_next_keystore(still)
    with keyring_of(still) as keyring:
        stray = keyring.moving.old.create_key("kem/2099-01", AES_256)

        done = move(keyring)

        assert stray in {each.key_id for each in keyring.keystore.info().keys}
        assert done.is_finished


def test_a_months_key_is_not_taken_from_a_worker_who_lost_its_lease_to_a_move(still: Vault) -> None:
    with still.desk(dt.timedelta(days=32)) as desk:
        with desk.registry.writing() as tx:
            assert desk.registry.leases.take(tx, maintenance.LEASE, "w", now=desk.seconds(), seconds=90)
        month = make_monthly_key(desk.keystore, desk.vault, desk.now())
        servers, log = desk.authorities.issuer("servers"), desk.keys.log.public()
        signed = make_statement(desk.vault, 2, month.public, log, desk.keys.pq, servers, desk.now())
        unit = maintenance.PublishStatement(desk, signed, month, servers.certificate, "w")
        with KeysLease(desk.registry, desk.seconds).maintenance_paused():
            pass

        with pytest.raises(Conflict, match="took over"):
            desk.committer.commit(unit)

    assert still.value("SELECT max(version) FROM vault_statements") == 1
