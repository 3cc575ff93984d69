"""`vaultq-server keystore status` and `retire`: what is there, who needs it, and what may be destroyed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import Vault
from tests.fixtures.still_vault import PATIENTS, does, keyring_of, refuses, still_vault
from tools.throwaway_vault import KeystoreName
from vaultq_core.registry.workers import WorkerRow
from vaultq_core.spi.keystore import AES_256, MASTER

FIRST, SECOND = "master:AES-256:1", "master:AES-256:2"
CAS = ("admins-ca:EC-P384:1", "doctors-ca:EC-P384:1", "root-ca:EC-P384:1", "servers-ca:EC-P384:1")


@pytest.fixture
def still(tmp_path: Path, keystore: KeystoreName) -> Vault:
    return still_vault(tmp_path, keystore)


def cited(vault: Vault) -> dict[str, int]:
    return {key["id"]: key["cited_by"] for key in does(vault, "keystore", "status")["keys"]}


def month(vault: Vault) -> str:
    return str(vault.value("SELECT key_id FROM kem_keys"))


def test_each_key_is_shown_with_its_origin_and_who_cites_it(still: Vault) -> None:
    does(still, "rotate-master")

    shown = does(still, "keystore", "status")

    assert {key["id"]: key["cited_by"] for key in shown["keys"]} == {
        FIRST: 0,
        SECOND: 6 + len(PATIENTS),
        month(still): 1,
        **dict.fromkeys(CAS, 1),
    }
    assert {key["id"] for key in shown["keys"] if not key["current"]} == {FIRST}
    assert {(key["provenance"], key["keystore"]) for key in shown["keys"]} == {("made here", still.keystore_name())}
    assert shown["move"] is None


def test_what_anything_cites_is_not_destroyed(still: Vault) -> None:
    before = cited(still)
    for key in (FIRST, month(still), *CAS):
        assert "cite" in refuses(still, "conflict", "keystore", "retire", "--yes", key)
    assert cited(still) == before


def test_the_current_key_is_not_destroyed_before_it_is_used_nor_the_former_one(still: Vault) -> None:
    """As after a rotation that was killed when it had made the key."""
    with keyring_of(still) as keyring:
        keyring.keystore.create_key(MASTER, AES_256)

    assert "current" in refuses(still, "conflict", "keystore", "retire", "--yes", SECOND)
    assert "cite" in refuses(still, "conflict", "keystore", "retire", "--yes", FIRST)


def test_one_key_that_is_needed_keeps_all_others(still: Vault) -> None:
    does(still, "rotate-master")

    refuses(still, "conflict", "keystore", "retire", "--yes", FIRST, SECOND)
    assert FIRST in cited(still)
    assert does(still, "keystore", "retire", "--yes", FIRST) == {"destroyed": [FIRST]}
    assert FIRST not in cited(still)
    assert FIRST in refuses(still, "key-not-found", "keystore", "retire", "--yes", FIRST)


def test_nothing_is_destroyed_without_a_yes(still: Vault) -> None:
    does(still, "rotate-master")

    assert "no terminal" in refuses(still, "usage", "keystore", "retire", FIRST)
    assert FIRST in cited(still)


def test_nothing_is_destroyed_while_a_worker_has_another_keystore_open(still: Vault) -> None:
    """It would go on wrapping where nobody looks."""
    does(still, "rotate-master")
    now = int(time.time())
    row = WorkerRow(holder="a/7", node="a", pid=7, version="0", keystores="file /elsewhere", started=now, seen=now)
    with keyring_of(still) as keyring, keyring.registry.writing() as tx:
        keyring.registry.workers.put(tx, row)

    assert "the worker 7 on a" in refuses(still, "conflict", "keystore", "retire", "--yes", FIRST)
    assert FIRST in cited(still)
