"""What every keystore has to do (vaultq_core.spi.keystore), as tests."""

from __future__ import annotations

import os
import secrets
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeyNotFound, KeystoreError, KeystoreUnavailable, Malformed, NotVerified
from vaultq_core.spi.guard import GuardedKeystore
from vaultq_core.spi.keystore import (
    AES_256,
    EC_P384,
    MASTER,
    KeyId,
    Keystore,
    Provenance,
    WrappedKey,
)
from vaultq_core.spi.testing.at_once import in_processes, in_threads
from vaultq_core.spi.testing.key_use_contract import AAD, KeyUseContract, Reopen


class KeystoreContract(KeyUseContract):
    """Give the fixture `reopen`: a picklable callable that opens one keystore, empty at first, anew each time."""

    # --- versions and purposes --------------------------------------------------------------------

    def test_a_new_version_is_current_and_the_old_one_still_unwraps(self, keystore: Keystore) -> None:
        first = keystore.wrap_key(b"a" * 32, aad=AAD)

        second = keystore.create_key(MASTER, AES_256)

        assert (first.key_id.version, second.version) == (1, 2)
        assert keystore.current_key(MASTER) == second
        assert keystore.wrap_key(b"b" * 32, aad=AAD).key_id == second
        assert keystore.unwrap_key(first, aad=AAD) == b"a" * 32

    def test_more_than_nine_versions_keep_their_order(self, keystore: Keystore) -> None:
        newest = [keystore.create_key(MASTER, AES_256) for _ in range(10)][-1]

        assert newest.version == 11
        assert keystore.current_key(MASTER) == newest

    def test_a_version_above_another_keystores_is_taken(self, keystore: Keystore) -> None:
        assert keystore.create_key(MASTER, AES_256, above=5).version == 6
        assert keystore.create_key(MASTER, AES_256, above=5).version == 7
        assert keystore.create_key("root-ca", EC_P384, above=3).version == 4
        assert keystore.current_key(MASTER).version == 7

    def test_one_version_does_not_unwrap_for_another(self, keystore: Keystore) -> None:
        wrapped = keystore.wrap_key(b"a" * 32, aad=AAD)
        second = keystore.create_key(MASTER, AES_256)

        with pytest.raises(NotVerified):
            keystore.unwrap_key(WrappedKey(second, wrapped.algorithm, wrapped.ciphertext), aad=AAD)

    def test_purposes_do_not_mix(self, keystore: Keystore) -> None:
        november = keystore.create_key("kem/2026-11", AES_256)
        december = keystore.create_key("kem/2026-12", AES_256)
        wrapped = keystore.wrap_key(b"s" * 32, aad=AAD, key_id=november)

        assert (november.version, december.version) == (1, 1)
        assert keystore.unwrap_key(wrapped, aad=AAD) == b"s" * 32
        with pytest.raises(NotVerified):
            keystore.unwrap_key(WrappedKey(december, wrapped.algorithm, wrapped.ciphertext), aad=AAD)

    def test_a_purpose_keeps_its_algorithm(self, keystore: Keystore) -> None:
        with pytest.raises(KeystoreError):
            keystore.create_key(MASTER, EC_P384)

    @pytest.mark.parametrize(
        ("purpose", "algorithm"), [("", AES_256), ("../master", AES_256), ("a" * 65, AES_256), ("new", "DES")]
    )
    def test_an_impossible_key_is_refused(self, keystore: Keystore, purpose: str, algorithm: str) -> None:
        with pytest.raises(Malformed):
            keystore.create_key(purpose, algorithm)

    def test_a_key_that_is_not_there_is_told_from_a_damaged_one(self, keystore: Keystore) -> None:
        wrapped = keystore.wrap_key(b"a" * 32, aad=AAD)
        absent = KeyId(MASTER, AES_256, 7)

        with pytest.raises(KeyNotFound):
            keystore.current_key("nobody")
        with pytest.raises(KeyNotFound):
            keystore.wrap_key(b"a" * 32, aad=AAD, key_id=absent)
        with pytest.raises(KeyNotFound):
            keystore.unwrap_key(WrappedKey(absent, wrapped.algorithm, wrapped.ciphertext), aad=AAD)
        with pytest.raises(KeyNotFound):
            keystore.signer(KeyId("root-ca", EC_P384, 1))
        with pytest.raises(KeyNotFound):
            keystore.destroy_key(absent)

    def test_info_tells_every_key_and_no_secret(self, keystore: Keystore) -> None:
        keystore.create_key("root-ca", EC_P384)
        keystore.create_key(MASTER, AES_256)

        info = keystore.info()

        assert [str(each.key_id) for each in info.keys] == ["master:AES-256:1", "master:AES-256:2", "root-ca:EC-P384:1"]
        assert {each.provenance for each in info.keys} == {Provenance.MADE_HERE}
        assert all(1_700_000_000 < each.created < 5_000_000_000 for each in info.keys)
        assert info.backend
        assert info.place

    # --- moving -----------------------------------------------------------------------------------

    def test_info_says_what_the_keystore_can_take_and_give(self, keystore: Keystore) -> None:
        info = keystore.info()

        assert info.imports_signing_keys == hasattr(keystore, "import_signing_key")
        assert info.exports_signing_keys == hasattr(keystore, "export_signing_key")

    def test_an_imported_key_signs_and_says_that_it_is_imported(self, keystore: Keystore, reopen: Reopen) -> None:
        guarded = GuardedKeystore(keystore, "under test")
        key = ec.generate_private_key(ec.SECP384R1())
        if not keystore.info().imports_signing_keys:
            with pytest.raises(KeystoreError):
                guarded.import_signing_key("doctors-ca", key)
            return

        imported = guarded.import_signing_key("doctors-ca", key, above=1)

        assert str(imported) == "doctors-ca:EC-P384:2"
        assert keystore.current_key("doctors-ca") == imported
        with closing(reopen()) as again:
            assert again.signer(imported).public_key() == key.public_key()
            assert {each.key_id: each.provenance for each in again.info().keys}[imported] is Provenance.IMPORTED
            signature = again.signer(imported).sign(b"moved", ec.ECDSA(hashes.SHA384()))
        key.public_key().verify(signature, b"moved", ec.ECDSA(hashes.SHA384()))

    def test_a_key_on_another_curve_is_not_imported(self, keystore: Keystore) -> None:
        with pytest.raises((Malformed, KeystoreError)):
            GuardedKeystore(keystore, "under test").import_signing_key(
                "doctors-ca", ec.generate_private_key(ec.SECP256R1())
            )

    def test_a_signing_key_is_given_away_only_by_a_keystore_that_says_so(self, keystore: Keystore) -> None:
        guarded = GuardedKeystore(keystore, "under test")
        signing = keystore.create_key("doctors-ca", EC_P384)
        if not keystore.info().exports_signing_keys:
            with pytest.raises(KeystoreError):
                guarded.export_signing_key(signing)
            return

        assert guarded.export_signing_key(signing).public_key() == keystore.signer(signing).public_key()
        guarded.export_signing_key(signing).private_numbers()
        with pytest.raises(KeystoreError):
            guarded.export_signing_key(keystore.current_key(MASTER))

    # --- destroying -------------------------------------------------------------------------------

    def test_a_destroyed_key_is_gone_for_good(self, keystore: Keystore, reopen: Reopen) -> None:
        month = keystore.create_key("kem/2026-11", AES_256)
        wrapped = keystore.wrap_key(b"s" * 32, aad=AAD, key_id=month)

        keystore.destroy_key(month)

        with closing(reopen()) as again:
            for each in (keystore, again):
                with pytest.raises(KeyNotFound):
                    each.unwrap_key(wrapped, aad=AAD)
                with pytest.raises(KeyNotFound):
                    each.current_key("kem/2026-11")
                assert month not in {key.key_id for key in each.info().keys}

    def test_a_key_made_after_a_destruction_does_not_open_the_old_wrapping(self, keystore: Keystore) -> None:
        month = keystore.create_key("kem/2026-11", AES_256)
        wrapped = keystore.wrap_key(b"s" * 32, aad=AAD, key_id=month)
        keystore.destroy_key(month)

        keystore.create_key("kem/2026-11", AES_256)

        with pytest.raises((KeyNotFound, NotVerified)):
            keystore.unwrap_key(wrapped, aad=AAD)

    def test_destroying_an_old_version_leaves_the_others(self, keystore: Keystore) -> None:
        old = keystore.current_key(MASTER)
        new = keystore.create_key(MASTER, AES_256)
        wrapped = keystore.wrap_key(b"a" * 32, aad=AAD)

        keystore.destroy_key(old)

        assert keystore.unwrap_key(wrapped, aad=AAD) == b"a" * 32
        assert keystore.current_key(MASTER) == new
        assert keystore.create_key(MASTER, AES_256).version == 3

    # --- lasting, and many at once ----------------------------------------------------------------

    def test_keys_last(self, keystore: Keystore, reopen: Reopen) -> None:
        wrapped = keystore.wrap_key(b"a" * 32, aad=AAD)
        root = keystore.create_key("root-ca", EC_P384)
        public = keystore.signer(root).public_key()
        before = keystore.info().keys
        keystore.close()

        with closing(reopen()) as again:
            assert again.info().keys == before
            assert again.unwrap_key(wrapped, aad=AAD) == b"a" * 32
            assert again.signer(root).public_key() == public

    def test_a_closed_keystore_says_so(self, keystore: Keystore) -> None:
        keystore.close()
        keystore.close()

        with pytest.raises(KeystoreUnavailable):
            keystore.wrap_key(b"a" * 32, aad=AAD)

    def test_eight_threads_share_a_keystore(self, keystore: Keystore) -> None:
        root = keystore.create_key("root-ca", EC_P384)

        def work(number: int) -> bool:
            for turn in range(25):
                aad = b"%d/%d" % (number, turn)
                key = secrets.token_bytes(32)
                assert keystore.unwrap_key(keystore.wrap_key(key, aad=aad), aad=aad) == key
            signer = keystore.signer(root)
            signature = signer.sign(b"shared", ec.ECDSA(hashes.SHA384()))
            signer.public_key().verify(signature, b"shared", ec.ECDSA(hashes.SHA384()))
            return True

        assert in_threads(8, work) == [True] * 8

    def test_threads_that_create_at_once_lose_no_key(self, keystore: Keystore) -> None:
        made = in_threads(8, lambda number: keystore.create_key(f"kem/2026-0{number + 1}", AES_256))
        versions = in_threads(4, lambda _: keystore.create_key(MASTER, AES_256))

        assert {each.key_id for each in keystore.info().keys} >= {*made, *versions}
        assert sorted(each.version for each in versions) == [2, 3, 4, 5]

    def test_processes_that_create_at_once_lose_no_key(self, keystore: Keystore, reopen: Reopen) -> None:
        made = in_processes(create_versions, [(reopen, "kem/2026-11", 10)] * 3)

        versions = sorted(each.version for some in made for each in some)
        assert versions == list(range(1, 31))
        assert keystore.current_key("kem/2026-11").version == 30

    def test_what_another_process_wraps_under_a_new_key_unwraps_here(self, keystore: Keystore, reopen: Reopen) -> None:
        [wrapped] = in_processes(wrap_under_new_key, [(reopen, b"from afar")])

        assert keystore.unwrap_key(wrapped, aad=AAD) == b"from afar"

    def test_a_key_destroyed_by_another_process_is_gone_here(self, keystore: Keystore, reopen: Reopen) -> None:
        month = keystore.create_key("kem/2026-11", AES_256)
        wrapped = keystore.wrap_key(b"s" * 32, aad=AAD, key_id=month)

        in_processes(destroy, [(reopen, month)])

        with pytest.raises(KeyNotFound):
            keystore.unwrap_key(wrapped, aad=AAD)


def create_versions(reopen: Reopen, purpose: str, count: int) -> list[KeyId]:
    """Create some versions; runs in a process of its own."""
    with closing(reopen()) as keystore:
        return [keystore.create_key(purpose, AES_256) for _ in range(count)]


def wrap_under_new_key(reopen: Reopen, key: bytes) -> WrappedKey:
    """Rotate, then wrap; runs in a process of its own."""
    with closing(reopen()) as keystore:
        keystore.create_key(MASTER, AES_256)
        return keystore.wrap_key(key, aad=AAD)


def destroy(reopen: Reopen, key_id: KeyId) -> int:
    """Destroy a key; runs in a process of its own, and tells which."""
    with closing(reopen()) as keystore:
        keystore.destroy_key(key_id)
    return os.getpid()
