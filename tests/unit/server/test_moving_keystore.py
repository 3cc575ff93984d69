"""Two real file keystores as one, before, while and after keys move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vaultq_core.crypto.passphrase import Cost
from vaultq_core.errors import KeyNotFound, KeystoreUnavailable
from vaultq_core.server.moving_keystore import MovingKeystore
from vaultq_core.spi.keystore import AES_256, EC_P384, MASTER, Keystore
from vaultq_core.spi.secrets import Secret
from vaultq_keystore_file.plugin import FileSettings, create

AAD = b"for this test"
KEY = bytes(range(32))


def keystore(directory: Path) -> Keystore:
    """Make an empty keystore whose passphrase is cheap to try."""
    directory.mkdir(mode=0o700)
    cost = Cost(iterations=2, lanes=1, memory_kib=19 * 1024)
    return create(FileSettings(path=str(directory / "keystore")), lambda: Secret("throw-away"), cost=cost)


@pytest.fixture
def old(tmp_path: Path) -> Keystore:
    made = keystore(tmp_path / "old")
    made.create_key(MASTER, AES_256)
    made.create_key("doctors-ca", EC_P384)
    return made


@pytest.fixture
def new(tmp_path: Path) -> Keystore:
    return keystore(tmp_path / "new")


@pytest.fixture
def moving(old: Keystore, new: Keystore) -> Iterator[MovingKeystore]:
    with closing(MovingKeystore(old, new)) as both:
        yield both


def test_an_empty_new_keystore_changes_nothing(moving: MovingKeystore, old: Keystore) -> None:
    made = moving.create_key("kem/2026-03", AES_256)

    assert moving.wrap_key(KEY, aad=AAD).key_id == old.current_key(MASTER)
    assert made in {each.key_id for each in old.info().keys}
    assert (moving.info().place, moving.info().keys) == (old.info().place, old.info().keys)


def test_a_master_key_made_by_somebody_else_is_used_at_once(moving: MovingKeystore, new: Keystore) -> None:
    before = moving.wrap_key(KEY, aad=AAD)
    master = new.create_key(MASTER, AES_256, above=before.key_id.version)

    after = moving.wrap_key(KEY, aad=AAD)

    assert after.key_id == moving.current_key(MASTER) == master
    assert moving.unwrap_key(before, aad=AAD) == moving.unwrap_key(after, aad=AAD) == KEY
    assert moving.info().place == new.info().place


def test_a_purpose_that_has_not_moved_is_served_by_the_old_keystore(moving: MovingKeystore, new: Keystore) -> None:
    new.create_key(MASTER, AES_256, above=1)
    ca = moving.current_key("doctors-ca")

    assert moving.signer(ca).public_key() == moving.old.signer(ca).public_key()


def test_a_new_key_never_gets_an_id_that_the_other_keystore_has(moving: MovingKeystore, new: Keystore) -> None:
    first = moving.create_key("kem/2026-03", AES_256)
    new.create_key(MASTER, AES_256, above=1)

    second = moving.create_key("kem/2026-03", AES_256)

    assert (first.version, second.version) == (1, 2)
    assert [each.key_id for each in new.info().keys if each.key_id.purpose == "kem/2026-03"] == [second]


def test_a_key_is_destroyed_where_it_lives(moving: MovingKeystore, new: Keystore) -> None:
    wrapped = moving.wrap_key(KEY, aad=AAD)
    kept = new.create_key(MASTER, AES_256, above=1)

    moving.destroy_key(wrapped.key_id)

    with pytest.raises(KeyNotFound):
        moving.unwrap_key(wrapped, aad=AAD)
    with pytest.raises(KeyNotFound):
        moving.destroy_key(wrapped.key_id)
    assert moving.current_key(MASTER) == kept


def test_a_new_keystore_that_does_not_answer_is_not_taken_for_one_without_the_key(
    moving: MovingKeystore, new: Keystore
) -> None:
    """Else keys would go on being made and wrapped in the old keystore after the move."""
    new.close()

    with pytest.raises(KeystoreUnavailable):
        moving.wrap_key(KEY, aad=AAD)
    with pytest.raises(KeystoreUnavailable):
        moving.create_key("kem/2026-03", AES_256)


def test_a_key_is_used_where_it_was_found_and_gone_when_it_is_destroyed_there(
    moving: MovingKeystore, old: Keystore, new: Keystore
) -> None:
    wrapped = moving.wrap_key(KEY, aad=AAD)
    new.create_key(MASTER, AES_256, above=1)
    assert moving.unwrap_key(wrapped, aad=AAD) == KEY
    new.close()
    assert moving.unwrap_key(wrapped, aad=AAD) == KEY

    old.destroy_key(wrapped.key_id)

    with pytest.raises(KeystoreUnavailable):
        moving.unwrap_key(wrapped, aad=AAD)


def test_closing_closes_both(moving: MovingKeystore, old: Keystore, new: Keystore) -> None:
    moving.close()

    for each in (old, new):
        with pytest.raises(KeystoreUnavailable):
            each.info()
