from __future__ import annotations

import hashlib
import hmac
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fixtures.hospital import seed
from vaultq_core.crypto import sealing
from vaultq_core.errors import Malformed, NotVerified

KEY, OTHER = sealing.kem_private_key(seed("kem")), sealing.kem_private_key(seed("other kem"))
VAULT, OTHER_VAULT = "aa" * 32, "bb" * 32
SECRET = b"thirty-two bytes of a secret key"
INFOS = {
    "upload": sealing.upload_info("VQ-65", VAULT, KEY.public, "01" * 32),
    "upload of another manifest": sealing.upload_info("VQ-65", VAULT, KEY.public, "02" * 32),
    "upload to another vault": sealing.upload_info("VQ-65", OTHER_VAULT, KEY.public, "01" * 32),
    "upload of another suite": sealing.upload_info("VQ-87", VAULT, KEY.public, "01" * 32),
    "upload to another key": sealing.upload_info("VQ-65", VAULT, OTHER.public, "01" * 32),
    "request": sealing.request_info("VQ-65", VAULT, KEY.public),
    "request to another vault": sealing.request_info("VQ-65", OTHER_VAULT, KEY.public),
    "recovery": sealing.recovery_info("VQ-65", VAULT, KEY.public, "patient"),
    "recovery of another patient": sealing.recovery_info("VQ-65", VAULT, KEY.public, "another"),
}
KEM_ID, SUITE_ID = bytes.fromhex("647a"), b"HPKE" + bytes.fromhex("647a00010002")


@pytest.mark.parametrize(("sealed", "opened"), list(itertools.permutations(INFOS, 2)))
def test_what_is_sealed_for_one_purpose_opens_for_no_other(sealed: str, opened: str) -> None:
    message = sealing.seal(KEY.public, SECRET, INFOS[sealed])
    with pytest.raises(NotVerified):
        KEY.open(message, INFOS[opened])


@pytest.mark.parametrize("purpose", INFOS)
def test_it_opens_with_its_key_and_purpose_and_with_no_other_key(purpose: str) -> None:
    message = sealing.seal(KEY.public, SECRET, INFOS[purpose])
    assert KEY.open(message, INFOS[purpose]) == SECRET
    with pytest.raises(NotVerified):
        OTHER.open(message, INFOS[purpose])


def test_an_upload_s_sealed_key_has_the_length_of_the_format() -> None:
    assert len(sealing.seal(KEY.public, SECRET, INFOS["upload"])) == 1168


def test_flipped_and_cut_messages_do_not_open() -> None:
    message = sealing.seal(KEY.public, SECRET, INFOS["request"])
    for at in (*range(0, len(message), 29), len(message) - 1):
        with pytest.raises(NotVerified):
            KEY.open(message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :], INFOS["request"])
        with pytest.raises(NotVerified):
            KEY.open(message[:at], INFOS["request"])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(Malformed):
        sealing.kem_private_key(bytes(length))


@pytest.mark.parametrize("public", [b"", bytes(1215), bytes(1217), b"\xff" * 1216], ids=lambda key: f"{len(key)}")
def test_what_is_no_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(Malformed):
        sealing.seal(public, SECRET, b"info")


def test_a_point_of_small_order_is_refused() -> None:
    with pytest.raises(Malformed):
        sealing.seal(KEY.public[:1184] + bytes(32), SECRET, b"info")


def test_no_secret_is_printed() -> None:
    assert "_key" not in repr(KEY)
    assert seed("kem").hex() not in repr(KEY)


def test_the_specification_suffices_to_open_a_message() -> None:
    """RFC 9180 and X-Wing by their formulas, with nothing but primitives (docs/spec/suites.md)."""
    info = INFOS["upload"]
    message = sealing.seal(KEY.public, SECRET, info)
    shared = decapsulate(seed("kem"), message[:1120])
    psk_hash = labeled_extract(b"", b"psk_id_hash", b"")
    context = b"\x00" + psk_hash + labeled_extract(b"", b"info_hash", info)
    secret = labeled_extract(shared, b"secret", b"")
    key, nonce = labeled_expand(secret, b"key", context, 32), labeled_expand(secret, b"base_nonce", context, 12)
    assert AESGCM(key).decrypt(nonce, message[1120:], b"") == SECRET


def decapsulate(seed_32: bytes, enc: bytes) -> bytes:
    expanded = hashlib.shake_256(seed_32).digest(96)
    ml_key = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x_key = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    ml_secret = ml_key.decapsulate(enc[:1088])
    x_secret = x_key.exchange(x25519.X25519PublicKey.from_public_bytes(enc[1088:]))
    x_public = x_key.public_key().public_bytes_raw()
    return hashlib.sha3_256(ml_secret + x_secret + enc[1088:] + x_public + b"\\.//^\\").digest()


def labeled_extract(salt: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE_ID + label + data, "sha256")


def labeled_expand(key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return hmac.digest(key, length.to_bytes(2, "big") + b"HPKE-v1" + SUITE_ID + label + info + b"\x01", "sha256")[
        :length
    ]
