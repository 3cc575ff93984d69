from __future__ import annotations

import pytest

from tests.unit.client.conftest import CHEAP, PASSPHRASE
from vaultq_client.home import Home
from vaultq_client.identity import Identity, keys_from_bytes, keys_to_bytes, load_identity, store_identity
from vaultq_core.crypto.fingerprints import spki
from vaultq_core.errors import Conflict, IdentityInvalid, InsecureFile, Malformed, WrongPassphrase


def test_an_identity_comes_back_whole(stored_home: Home, identity: Identity) -> None:
    found = load_identity(stored_home, PASSPHRASE)

    assert keys_to_bytes(found.keys) == keys_to_bytes(identity.keys)
    assert (found.doctor, found.records_address, found.certificates, found.outbox_key, found.anchors) == (
        identity.doctor, identity.records_address, identity.certificates, identity.outbox_key, identity.anchors,
    )  # fmt: skip


def test_another_passphrase_opens_nothing(stored_home: Home) -> None:
    with pytest.raises(WrongPassphrase):
        load_identity(stored_home, "eight green bottles on a wall")


def test_a_changed_byte_opens_nothing(stored_home: Home) -> None:
    data = stored_home.identity.read_bytes()
    changed = data.replace(data[-60:-50], b"A" * 10)
    stored_home.identity.write_bytes(changed)

    with pytest.raises((WrongPassphrase, Malformed)):
        load_identity(stored_home, PASSPHRASE)


def test_the_file_and_its_place_belong_to_one_user(stored_home: Home) -> None:
    assert stored_home.identity.stat().st_mode & 0o777 == 0o600
    assert stored_home.path.stat().st_mode & 0o777 == 0o700

    stored_home.identity.chmod(0o644)
    with pytest.raises(InsecureFile):
        load_identity(stored_home, PASSPHRASE)


def test_an_identity_is_never_overwritten(stored_home: Home, identity: Identity) -> None:
    with pytest.raises(Conflict):
        store_identity(stored_home, identity, PASSPHRASE, cost=CHEAP)


def test_no_identity_says_so(home: Home) -> None:
    with pytest.raises(IdentityInvalid, match="not there"):
        load_identity(home, PASSPHRASE)


def test_reprs_and_the_sealed_file_show_no_secret(stored_home: Home, identity: Identity) -> None:
    stored = keys_to_bytes(identity.keys)
    secrets = (stored.mldsa65, stored.ecdsa_p256, stored.tls, identity.outbox_key)
    shown = repr(identity) + repr(stored)

    assert not any(repr(each) in shown or each.hex() in shown for each in secrets)
    assert identity.doctor.encode() not in stored_home.identity.read_bytes()


def test_keys_survive_as_bytes(identity: Identity) -> None:
    keys = keys_from_bytes(keys_to_bytes(identity.keys))

    assert spki(keys.signing.mldsa65.public_key()) == spki(identity.keys.signing.mldsa65.public_key())
    assert spki(keys.tls.public_key()) == spki(identity.keys.tls.public_key())
