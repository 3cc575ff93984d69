"""What every keystore has to do with one key: wrap, unwrap, sign; and the fixtures of the whole contract."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeystoreError, NotVerified
from vaultq_core.spi.guard import GuardedKeystore
from vaultq_core.spi.keystore import AES_256, EC_P384, MASTER, WRAPPABLE_BYTES, Keystore, WrappedKey

Reopen = Callable[[], Keystore]

AAD = b"vaultq/wrap/v1 of an example"
TODAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
LIFETIME = dt.timedelta(days=90)


class KeyUseContract:
    """The part of KeystoreContract that is about using one key."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        """Open the keystore under test; the plug-in's test gives this one."""
        raise TypeError("a contract suite is run through a subclass that has the fixture `reopen`")

    @pytest.fixture
    def keystore(self, reopen: Reopen) -> Iterator[Keystore]:
        """Give the keystore, open, with one master key."""
        with closing(reopen()) as keystore:
            keystore.create_key(MASTER, AES_256)
            yield keystore

    # --- wrapping ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [1, 32, 64, WRAPPABLE_BYTES])
    def test_what_is_wrapped_unwraps(self, keystore: Keystore, size: int) -> None:
        key = secrets.token_bytes(size)

        wrapped = keystore.wrap_key(key, aad=AAD)

        assert wrapped.key_id == keystore.current_key(MASTER)
        assert keystore.unwrap_key(WrappedKey.parse(bytes(wrapped)), aad=AAD) == key

    def test_wrapping_twice_gives_different_bytes(self, keystore: Keystore) -> None:
        key = secrets.token_bytes(32)

        wrapped = {keystore.wrap_key(key, aad=AAD).ciphertext for _ in range(64)}

        assert len(wrapped) == 64
        assert not any(key in each for each in wrapped)

    @pytest.mark.parametrize("other", [b"", b"x", AAD + b"\0", AAD[:-1]])
    def test_other_associated_data_does_not_unwrap(self, keystore: Keystore, other: bytes) -> None:
        wrapped = keystore.wrap_key(secrets.token_bytes(32), aad=AAD)

        with pytest.raises(NotVerified):
            keystore.unwrap_key(wrapped, aad=other)

    def test_no_flipped_byte_unwraps(self, keystore: Keystore) -> None:
        wrapped = keystore.wrap_key(secrets.token_bytes(32), aad=AAD)

        for place in range(len(wrapped.ciphertext)):
            flipped = bytearray(wrapped.ciphertext)
            flipped[place] ^= 0x01
            with pytest.raises(NotVerified):
                keystore.unwrap_key(WrappedKey(wrapped.key_id, wrapped.algorithm, bytes(flipped)), aad=AAD)

    @pytest.mark.parametrize("length", [1, 12, 27, 28, 59])
    def test_no_cut_bytes_unwrap(self, keystore: Keystore, length: int) -> None:
        wrapped = keystore.wrap_key(secrets.token_bytes(32), aad=AAD)

        with pytest.raises(NotVerified):
            keystore.unwrap_key(WrappedKey(wrapped.key_id, wrapped.algorithm, wrapped.ciphertext[:length]), aad=AAD)

    def test_an_unknown_wrapping_algorithm_does_not_unwrap(self, keystore: Keystore) -> None:
        wrapped = keystore.wrap_key(secrets.token_bytes(32), aad=AAD)

        with pytest.raises(NotVerified):
            keystore.unwrap_key(WrappedKey(wrapped.key_id, "ROT-13", wrapped.ciphertext), aad=AAD)

    def test_a_key_is_not_wrapped_for_nothing(self, keystore: Keystore) -> None:
        with pytest.raises(KeystoreError):
            keystore.wrap_key(secrets.token_bytes(32), aad=b"")

    @pytest.mark.parametrize("size", [0, WRAPPABLE_BYTES + 1])
    def test_a_key_of_impossible_length_is_not_wrapped(self, keystore: Keystore, size: int) -> None:
        with pytest.raises(KeystoreError):
            keystore.wrap_key(bytes(size), aad=AAD)

    def test_the_keystore_works_on_after_refusals(self, keystore: Keystore) -> None:
        wrapped = keystore.wrap_key(b"k" * 32, aad=AAD)
        for _ in range(20):
            with pytest.raises(NotVerified):
                keystore.unwrap_key(wrapped, aad=b"other")

        assert keystore.unwrap_key(wrapped, aad=AAD) == b"k" * 32

    # --- signing ----------------------------------------------------------------------------------

    def test_a_signer_signs(self, keystore: Keystore) -> None:
        signer = keystore.signer(keystore.create_key("root-ca", EC_P384))

        signature = signer.sign(b"to be signed", ec.ECDSA(hashes.SHA384()))

        assert isinstance(signer.curve, ec.SECP384R1)
        assert signer.key_size == 384
        signer.public_key().verify(signature, b"to be signed", ec.ECDSA(hashes.SHA384()))

    def test_a_signer_issues_a_certificate(self, keystore: Keystore) -> None:
        signer = keystore.signer(keystore.create_key("root-ca", EC_P384))

        certificate = example_certificate(signer)

        certificate.verify_directly_issued_by(certificate)

    def test_a_signer_issues_a_crl(self, keystore: Keystore) -> None:
        signer = keystore.signer(keystore.create_key("root-ca", EC_P384))

        crl = example_crl(signer)

        assert crl.is_signature_valid(signer.public_key())

    def test_a_guarded_signer_issues_too_and_gives_no_key_away(self, keystore: Keystore) -> None:
        key_id = keystore.create_key("root-ca", EC_P384)

        guarded = GuardedKeystore(keystore, "under test").signer(key_id)

        example_certificate(guarded).verify_directly_issued_by(example_certificate(keystore.signer(key_id)))
        with pytest.raises(KeystoreError):
            guarded.private_numbers()

    def test_a_key_is_used_for_its_own_thing_only(self, keystore: Keystore) -> None:
        signing = keystore.create_key("root-ca", EC_P384)
        wrapped = keystore.wrap_key(b"a" * 32, aad=AAD)

        with pytest.raises(KeystoreError):
            keystore.signer(keystore.current_key(MASTER))
        with pytest.raises(KeystoreError):
            keystore.wrap_key(b"a" * 32, aad=AAD, key_id=signing)
        with pytest.raises(KeystoreError):
            keystore.unwrap_key(WrappedKey(signing, wrapped.algorithm, wrapped.ciphertext), aad=AAD)


def example_certificate(signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return a self-signed certificate by cryptography's builder."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Root CA")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=signer.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=TODAY,
        not_valid_after=TODAY + LIFETIME,
    )
    return builder.sign(signer, hashes.SHA384())


def example_crl(signer: ec.EllipticCurvePrivateKey) -> x509.CertificateRevocationList:
    """Return an empty CRL by cryptography's builder."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Root CA")])
    builder = x509.CertificateRevocationListBuilder(issuer_name=name, last_update=TODAY, next_update=TODAY + LIFETIME)
    return builder.sign(signer, hashes.SHA384())
