from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fixtures.hospital import Doctor, elliptic_key
from vaultq_core.crypto.fingerprints import spki
from vaultq_core.crypto.keys import generate_signing_keys, load_mldsa65, load_p256
from vaultq_core.errors import Malformed

P256 = elliptic_key(ec.SECP256R1(), "keys").public_key()


def compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    point = b"\0" + key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    body = spki(key)[2:23] + b"\x03" + bytes([len(point)]) + point
    return b"\x30" + bytes([len(body)]) + body


def test_a_key_loads_from_its_own_encoding(ada: Doctor) -> None:
    public = ada.keys.signing.public()
    assert spki(load_mldsa65(spki(public.mldsa65))) == spki(public.mldsa65)
    assert spki(load_p256(spki(P256))) == spki(P256)


def test_one_key_has_one_encoding() -> None:
    with pytest.raises(Malformed, match="usual encoding"):
        load_p256(compressed(P256))


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x80",
        spki(P256)[:-1],
        spki(P256) + b"\0",
        spki(elliptic_key(ec.SECP384R1(), "keys").public_key()),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["nothing", "endless", "cut", "more", "p384", "ed25519"],
)
def test_a_key_of_another_kind_is_refused(der: bytes) -> None:
    for load in (load_mldsa65, load_p256):
        with pytest.raises(Malformed):
            load(der)


def test_private_keys_are_not_printed() -> None:
    assert "0x" not in repr(generate_signing_keys())
    assert "PrivateKey" not in repr(generate_signing_keys())
