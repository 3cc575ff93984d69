from __future__ import annotations

import itertools

import pytest

from tests.fixtures.hospital import Doctor
from vaultq_core.crypto import signatures as s
from vaultq_core.errors import NotVerified
from vaultq_core.wire.manifest import Signatures

CONTEXTS = (s.RECORD, s.REQUEST, s.ENROLMENT, s.GRANT, s.VAULT_STATEMENT)
DATA = b"exact bytes"


def test_both_signatures_hold_and_differ_from_run_to_run(ada: Doctor) -> None:
    keys = ada.keys.signing
    first, second = s.sign_both(keys, DATA, s.RECORD), s.sign_both(keys, DATA, s.RECORD)
    assert first.mldsa65 != second.mldsa65
    assert s.verify_both(keys.public(), first, DATA, s.RECORD) == DATA
    assert s.verify_both(keys.public(), second, DATA, s.RECORD) == DATA


@pytest.mark.parametrize(("signed", "verified"), list(itertools.permutations(CONTEXTS, 2)))
def test_neither_signature_holds_for_another_purpose(ada: Doctor, signed: bytes, verified: bytes) -> None:
    keys = ada.keys.signing
    both = s.sign_both(keys, DATA, signed)
    with pytest.raises(NotVerified, match="ML-DSA-65"):
        s.verify_mldsa65(keys.mldsa65.public_key(), both.mldsa65, DATA, verified)
    with pytest.raises(NotVerified):
        s.verify_both(keys.public(), both, DATA, verified)


def test_the_contexts_are_distinct() -> None:
    assert len(set(CONTEXTS)) == len(CONTEXTS)


def test_ecdsa_cannot_move_a_byte_between_context_and_data() -> None:
    assert s.with_context(b"bc", b"a") == b"\x01abc"
    assert s.with_context(b"c", b"ab") == b"\x02abc"


@pytest.mark.parametrize("part", ["mldsa65", "ecdsa_p256"])
def test_one_signature_is_not_enough(ada: Doctor, grace: Doctor, part: str) -> None:
    public = ada.keys.signing.public()
    mine, hers = (s.sign_both(doctor.keys.signing, DATA, s.RECORD) for doctor in (ada, grace))
    mixed = {"mldsa65": mine.mldsa65, "ecdsa_p256": mine.ecdsa_p256} | {part: getattr(hers, part)}
    with pytest.raises(NotVerified):
        s.verify_both(public, Signatures(**mixed), DATA, s.RECORD)
