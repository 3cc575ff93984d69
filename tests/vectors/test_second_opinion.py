"""dilithium-py and `cryptography` are of one mind about every ML-DSA signature in the vectors, good or bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from tests.vectors.files import Case, unb64
from tests.vectors.verifiers import ACTORS, CASES, FILES, TRUST, certificate
from vaultq_core.crypto import second_opinion
from vaultq_core.crypto.keys import load_mldsa65
from vaultq_core.crypto.x509_profile import issuer_public_key, load_certificate
from vaultq_core.errors import Malformed, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.note import decode_note
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.statements import EnrolmentRequest, decode_enrolment_statement

RECORD = b"vaultq/record/v1"
Key = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@dataclass(frozen=True)
class Signed:
    name: str
    key: Key
    signature: bytes
    data: bytes
    context: bytes = b""


def signing_key(case: Case) -> mldsa.MLDSA65PublicKey | None:
    key = load_certificate(certificate(case["signing"])).public_key()
    return key if isinstance(key, mldsa.MLDSA65PublicKey) else None


def of_doctors() -> Iterator[Signed]:
    manifests = [(f"manifests/{name}", case, "manifest", RECORD) for name, case in CASES["manifests"].items()]
    grants = FILES["grants"]["grants"].items()
    statements = [(f"grants/{name}", case, "statement", b"vaultq/grant/v1") for name, case in grants]
    for name, case, text, context in (*manifests, *statements):
        if key := signing_key(case):
            yield Signed(name, key, unb64(case["mldsa65"]), case[text].encode(), context)
    for name, case in CASES["enrolments"].items():
        request = canonical.decode(case["request"].encode(), EnrolmentRequest, limit=256 * 1024)
        key = load_mldsa65(decode_enrolment_statement(request.statement).signing_mldsa65)
        yield Signed(f"enrolments/{name}", key, request.signatures.mldsa65, request.statement, b"vaultq/enrolment/v1")


def of_the_vault() -> Iterator[Signed]:
    key = issuer_public_key(TRUST.pq)
    assert isinstance(key, mldsa.MLDSA65PublicKey)
    for name, case in CASES["vault_statements"].items():
        data = case["statement"].encode()
        yield Signed(f"vault_statements/{name}", key, unb64(case["mldsa65"]), data, b"vaultq/vault-statement/v1")
    log = mldsa.MLDSA44PublicKey.from_public_bytes(unb64(ACTORS["log"]["mldsa44"]))
    for name, case in CASES["receipts"].items():
        if case["expect"] in {"ok", "not-verified"}:
            yield from (Signed(f"receipts/{name}", log, *each) for each in cosignatures(case["receipt"]))


def cosignatures(text: str) -> Iterator[tuple[bytes, bytes]]:
    """Signature and message of every ML-DSA-44 line, by the words of C2SP tlog-cosignature."""
    try:
        note = decode_note(decode_receipt(text).checkpoint)
    except Malformed:
        return
    origin, size, root, *_ = note.text.split("\n")
    name = bytes([len(origin)]) + origin.encode()
    for each in note.signatures:
        if len(each.signature) == 8 + 2420:
            tree = bytes(8) + int(size).to_bytes(8, "big") + unb64(root)
            yield each.signature[8:], b"subtree/v1\n\0" + name + each.signature[:8] + name + tree


def of_authorities() -> Iterator[Signed]:
    issuers = {name: load_certificate(certificate(name)) for name in ("pq-root", "pq", "other-pq-root", "other-pq")}
    for name in ACTORS["certificates"]:
        subject = load_certificate(certificate(name))
        for issuer in issuers.values():
            key = issuer.public_key()
            if issuer.subject == subject.issuer and not isinstance(key, ec.EllipticCurvePublicKey):
                assert isinstance(key, mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey)
                yield Signed(f"certificates/{name}", key, subject.signature, subject.tbs_certificate_bytes)
    lists = [(name, x509.load_der_x509_crl(unb64(data))) for name, data in ACTORS["crls"].items() if "-pq" in name]
    for name, crl in lists:
        key = issuer_public_key(TRUST.pq)
        assert isinstance(key, mldsa.MLDSA65PublicKey)
        yield Signed(f"crls/{name}", key, crl.signature, crl.tbs_certlist_bytes)


EVERY = [*of_doctors(), *of_the_vault(), *of_authorities()]


def first_opinion(signed: Signed) -> bool:
    try:
        signed.key.verify(signed.signature, signed.data, signed.context)
    except InvalidSignature:
        return False
    return True


def other_opinion(signed: Signed) -> bool:
    try:
        second_opinion.verify_again(signed.key, signed.signature, signed.data, signed.context)
    except NotVerified:
        return False
    return True


@pytest.mark.parametrize("signed", EVERY, ids=lambda signed: signed.name)
def test_both_verifiers_agree(signed: Signed) -> None:
    assert first_opinion(signed) == other_opinion(signed)


def test_the_vectors_hold_good_and_bad_signatures_of_each_strength() -> None:
    opinions = {(type(signed.key).__name__, first_opinion(signed)) for signed in EVERY}
    assert {name for name, good in opinions if good} == {"MLDSA44PublicKey", "MLDSA65PublicKey", "MLDSA87PublicKey"}
    assert {name for name, good in opinions if not good} >= {"MLDSA44PublicKey", "MLDSA65PublicKey"}


@pytest.mark.parametrize(
    "key", [mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey], ids=lambda kind: kind.__name__
)
def test_both_verifiers_agree_on_a_fresh_key(key: type[mldsa.MLDSA65PrivateKey]) -> None:
    fresh = key.generate()
    signature = fresh.sign(b"data", b"context")
    good = Signed("fresh", fresh.public_key(), signature, b"data", b"context")
    bad = Signed("fresh", fresh.public_key(), signature, b"data", b"other context")
    assert (first_opinion(good), other_opinion(good)) == (True, True)
    assert (first_opinion(bad), other_opinion(bad)) == (False, False)
