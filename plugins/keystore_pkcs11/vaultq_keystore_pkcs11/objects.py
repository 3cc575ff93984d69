"""VaultQ's objects in a token: found, listed, made and destroyed, each function inside one session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11.types import EncryptMixin

from vaultq_core.errors import KeyNotFound, KeystoreError, Malformed
from vaultq_core.spi.keystore import AES_256, AES_256_GCM, AES_256_KW, EC_P384, KeyId, KeyInfo, Provenance
from vaultq_keystore_pkcs11 import templates
from vaultq_keystore_pkcs11.connection import MARKS, Session
from vaultq_keystore_pkcs11.errors import STALE, creation_error

CLASS_OF: Final = {AES_256: ObjectClass.SECRET_KEY, EC_P384: ObjectClass.PRIVATE_KEY}
_BITS: Final = 256
_OCTET_STRING: Final = 4


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """An AES key of the token, and the one algorithm that it wraps by."""

    key: Any
    algorithm: str


def find_key(session: Session, key_id: KeyId, kind: ObjectClass) -> Any:
    """Return a key object by id. Raises KeyNotFound, KeystoreError when two have the same label."""
    label = templates.label_of(key_id)
    known = session.keys.get((label, kind))
    if known is None:
        known = session.keys[label, kind] = _one(session, key_id, kind)
    return known


def find_wrapping_key(session: Session, key_id: KeyId) -> WrappingKey:
    """Return an AES key. Raises KeyNotFound, KeystoreError for a key that signs."""
    if key_id.algorithm != AES_256:
        raise KeystoreError(f"the key {key_id} signs; it does not wrap")
    key = find_key(session, key_id, ObjectClass.SECRET_KEY)
    return WrappingKey(key, AES_256_GCM if isinstance(key, EncryptMixin) else AES_256_KW)


def find_public_key(session: Session, key_id: KeyId) -> ec.EllipticCurvePublicKey:
    """Return the public half of a signing key. Raises KeyNotFound, KeystoreError."""
    point: bytes = find_key(session, key_id, ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT]
    if point[:1] == bytes([_OCTET_STRING]) and len(point) == 2 + point[1]:
        point = point[2:]  # PKCS#11 2.20 and later wrap it in DER; some tokens don't
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), point)
    except ValueError:
        raise KeystoreError(f"the token's public half of {key_id} is no point of P-384") from None


def list_keys(session: Session) -> tuple[KeyInfo, ...]:
    """Return VaultQ's keys in order of id."""
    found = [info for kind in CLASS_OF.values() for info in _infos(session, kind)]
    if not found:
        session.require_sight()
    return tuple(sorted(found, key=lambda info: info.key_id))


def list_issued(session: Session) -> tuple[KeyId, ...]:
    """Return the ids that were ever given, as far as their marks are kept, in order: at least each purpose's last."""
    return tuple(sorted(_issued(each) for each in session.find(MARKS)))


def issue_mark(session: Session, key_id: KeyId) -> None:
    """Note for ever that an id is given; the purpose's older marks go."""
    session.raw.create_object(templates.mark(key_id))
    session.token.holds_marks = True
    for each in session.find(MARKS):
        issued = _issued(each)
        if issued.purpose == key_id.purpose and issued.version < key_id.version:
            each.destroy()


def generate(session: Session, key_id: KeyId, wrapping: str, now: int) -> None:
    """Make a key in the token. Raises KeystoreError when it does not keep it."""
    label, object_id = templates.label_of(key_id), templates.new_id(now)
    try:
        if key_id.algorithm == AES_256:
            session.raw.generate_key(
                KeyType.AES, _BITS, id=object_id, label=label, store=True, template=templates.wrapping_key(wrapping)
            )
        else:
            domain = session.raw.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: templates.P384}, local=True)
            domain.generate_keypair(
                id=object_id,
                label=label,
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                public_template=templates.public_key(),
                private_template=templates.private_key(),
            )
    except STALE:
        raise
    except pkcs11.PKCS11Error as error:
        raise creation_error(error) from None


def import_key(session: Session, key_id: KeyId, key: ec.EllipticCurvePrivateKey, now: int) -> None:
    """Put a signing key that was made elsewhere into the token. Raises KeystoreError when it does not keep it."""
    private, public = templates.imported_halves(key, templates.label_of(key_id), templates.new_id(now))
    try:
        session.raw.create_object(public)
        session.raw.create_object(private)  # last: with it, the key is there
    except STALE:
        raise
    except pkcs11.PKCS11Error as error:
        raise creation_error(error) from None


def destroy(session: Session, key_id: KeyId) -> None:
    """Destroy a key, its public half last. Raises KeyNotFound."""
    find_key(session, key_id, CLASS_OF[key_id.algorithm]).destroy()
    session.keys.clear()
    if key_id.algorithm == EC_P384:
        for half in _of_label(session, key_id, ObjectClass.PUBLIC_KEY):
            half.destroy()


def _one(session: Session, key_id: KeyId, kind: ObjectClass) -> Any:
    found = _of_label(session, key_id, kind)
    if not found:
        session.require_sight()
        raise KeyNotFound(f"the token does not hold the key {key_id}")
    if len(found) > 1:
        raise KeystoreError(
            f"the token holds {len(found)} keys with the label {templates.label_of(key_id)}",
            remedy="Labels are not unique on a token: take away what is not VaultQ's, by its CKA_ID.",
        )
    return found[0]


def _of_label(session: Session, key_id: KeyId, kind: ObjectClass) -> list[Any]:
    return session.find({Attribute.CLASS: kind, Attribute.LABEL: templates.label_of(key_id)})


def _issued(mark: Any) -> KeyId:
    return KeyId.parse(str(mark[Attribute.LABEL]).removeprefix(templates.MARK))


def _infos(session: Session, kind: ObjectClass) -> Iterator[KeyInfo]:
    for key in session.find({Attribute.CLASS: kind, Attribute.TOKEN: True}):
        with suppress(pkcs11.ObjectHandleInvalid):  # destroyed by another process since it was found
            label = str(key[Attribute.LABEL])
            if label.startswith(templates.PREFIX):  # else it is another application's
                yield _info(key, label.removeprefix(templates.PREFIX))


def _info(key: Any, name: str) -> KeyInfo:
    try:
        key_id = KeyId.parse(name)
    except Malformed:
        raise KeystoreError("the token holds a key with a label that looks like VaultQ's and is none") from None
    provenance = Provenance.MADE_HERE if key[Attribute.LOCAL] else Provenance.IMPORTED
    return KeyInfo(key_id, provenance, templates.created_of(key[Attribute.ID]))
