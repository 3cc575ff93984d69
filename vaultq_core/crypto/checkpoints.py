"""Checkpoints, signed and verified: Ed25519 **and** an ML-DSA-44 cosignature, both required.

docs/spec/log.md; C2SP signed-note, tlog-checkpoint, tlog-cosignature. A note passes by the C2SP rules
with any one known signature; here each of the two keys must have signed. The cosigner's name is the
origin, and the cosignature's timestamp is the log time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from vaultq_core.crypto.steps import step
from vaultq_core.errors import NotVerified
from vaultq_core.wire.note import (
    CheckpointBody,
    NoteSignature,
    SignedNote,
    decode_checkpoint_body,
    decode_note,
    encode_note,
)
from vaultq_core.wire.statements import LogKeys

_ED25519_TYPE = b"\x01"
_MLDSA44_TYPE = b"\x06"
_TIMESTAMP_BYTES = 8
_COSIGNATURE_LABEL = b"subtree/v1\n\0"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: `size` leaves with this `root` (32 bytes) at log time `time` (POSIX seconds)."""

    size: int
    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class LogSigner:
    """The log's two signing keys under one origin."""

    origin: str
    ed25519: ed25519.Ed25519PrivateKey = field(repr=False)
    mldsa44: mldsa.MLDSA44PrivateKey = field(repr=False)

    def public(self) -> LogKeys:
        """Return what a vault statement names."""
        return LogKeys(
            origin=self.origin,
            ed25519=self.ed25519.public_key().public_bytes_raw(),
            mldsa44=self.mldsa44.public_key().public_bytes_raw(),
        )

    def sign(self, size: int, root: bytes, time: int) -> str:
        """Return the checkpoint as a signed note."""
        body = CheckpointBody(self.origin, size, root)
        keys = self.public()
        cosigned = self.mldsa44.sign(_cosigned_message(body, time))
        first = self.ed25519.sign(body.text().encode())
        signatures = (
            NoteSignature(self.origin, _key_id(self.origin, _ED25519_TYPE, keys.ed25519), first),
            NoteSignature(self.origin, _key_id(self.origin, _MLDSA44_TYPE, keys.mldsa44), _stamped(time, cosigned)),
        )
        return encode_note(SignedNote(body.text(), signatures))


def verify_checkpoint(note: str, keys: LogKeys) -> Checkpoint:
    """Prove that the log signed this checkpoint.

    1. The note is a checkpoint of this origin without extension lines.
    2. The Ed25519 signature covers its exact text.
    3. The ML-DSA-44 cosignature covers origin, size, root and its timestamp.

    Returns size, root and log time. Raises NotVerified, naming the step.
    """
    with step(1):
        signed = decode_note(note)
        body = decode_checkpoint_body(signed.text)
    if body.origin != keys.origin:  # 1
        raise NotVerified("the checkpoint is another log's", step=1)
    _verify_ed25519(signed, keys)  # 2
    time = _verify_cosignature(signed, body, keys)  # 3
    return Checkpoint(body.size, body.root, time)


def cosignature(note: str, keys: LogKeys) -> tuple[bytes, bytes]:
    """Return a checkpoint's ML-DSA-44 cosignature and what it covers, unverified. Raises Malformed, NotVerified."""
    signed = decode_note(note)
    stamped = _signature(signed, keys.origin, _key_id(keys.origin, _MLDSA44_TYPE, keys.mldsa44), 3)
    time = int.from_bytes(stamped[:_TIMESTAMP_BYTES], "big")
    return stamped[_TIMESTAMP_BYTES:], _cosigned_message(decode_checkpoint_body(signed.text), time)


def _verify_ed25519(signed: SignedNote, keys: LogKeys) -> None:
    signature = _signature(signed, keys.origin, _key_id(keys.origin, _ED25519_TYPE, keys.ed25519), 2)
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(keys.ed25519).verify(signature, signed.text.encode())
    except (InvalidSignature, ValueError):
        raise NotVerified("the log's Ed25519 signature does not hold", step=2) from None


def _verify_cosignature(signed: SignedNote, body: CheckpointBody, keys: LogKeys) -> int:
    stamped = _signature(signed, keys.origin, _key_id(keys.origin, _MLDSA44_TYPE, keys.mldsa44), 3)
    time = int.from_bytes(stamped[:_TIMESTAMP_BYTES], "big")
    try:
        key = mldsa.MLDSA44PublicKey.from_public_bytes(keys.mldsa44)
        key.verify(stamped[_TIMESTAMP_BYTES:], _cosigned_message(body, time))
    except (InvalidSignature, ValueError):
        raise NotVerified("the log's ML-DSA-44 cosignature does not hold", step=3) from None
    return time


def _signature(signed: SignedNote, name: str, key_id: bytes, step: int) -> bytes:
    found = [each.signature for each in signed.signatures if (each.name, each.key_id) == (name, key_id)]
    if len(found) != 1:
        raise NotVerified("one of the log's two signatures is missing or doubled", step=step)
    return found[0]


def _key_id(name: str, kind: bytes, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]


def _stamped(time: int, signature: bytes) -> bytes:
    return time.to_bytes(_TIMESTAMP_BYTES, "big") + signature


def _cosigned_message(body: CheckpointBody, time: int) -> bytes:
    """Return C2SP tlog-cosignature's cosigned_message for a whole tree, cosigner name = origin."""
    origin = body.origin.encode()
    name = len(origin).to_bytes(1, "big") + origin
    tree = (0).to_bytes(8, "big") + body.size.to_bytes(8, "big") + body.root
    return _COSIGNATURE_LABEL + name + time.to_bytes(8, "big") + name + tree
