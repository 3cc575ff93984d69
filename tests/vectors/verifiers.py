"""Each vector file's verifier, ours: from a case to a result, or to the error that refuses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from tests.vectors.files import Case, cases_of, data_of, moment, read, unb64
from vaultq_core.crypto import chains, enrolment, frames, objects, receipts, records, requests, revocation, statements
from vaultq_core.crypto.fingerprints import sha256_hex, word_indices
from vaultq_core.crypto.sealing import kem_private_key
from vaultq_core.crypto.x509_profile import certificate_hash, load_certificate
from vaultq_core.wire import canonical
from vaultq_core.wire.frame import ObjectHeader
from vaultq_core.wire.framing import ByteStream
from vaultq_core.wire.manifest import CertificatePair, Signatures, SignedManifest, decode_manifest
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.sealed_request import Done
from vaultq_core.wire.statements import EnrolmentRequest, LogKeys, SignedGrant, SignedVaultStatement
from vaultq_core.words import fingerprint_words

ACTORS = read("actors")
FILES = {
    name: read(name)
    for name in (
        "answers", "canonical_json", "certificate_pairs", "crls", "enrolments", "frames", "grant_chains", "grants",
        "issuing_cas", "manifests", "objects", "receipts", "requests", "vault_statements",
    )
}  # fmt: skip
CASES = {name: cases_of(name) for name in FILES}
NOW = moment(ACTORS["now"])


def certificate(name: str) -> bytes:
    return unb64(ACTORS["certificates"][name])


def trust_of(case: Case) -> chains.Trust:
    anchors = chains.TrustAnchors(
        load_certificate(certificate(case["hospital_root"])), load_certificate(certificate(case["pq_root"]))
    )
    names: dict[str, Any] = {name: certificate(case[name]) for name in ("pq", "doctors", "servers")}
    former = tuple(certificate(name) for name in case.get("former", ()))
    return chains.verify_issuing_cas(anchors, **names, former=former, at=moment(case["at"]))


TRUST = trust_of(CASES["issuing_cas"]["good"])


def pair_of(case: Case) -> CertificatePair:
    return CertificatePair(signing=certificate(case["signing"]), tls=certificate(case["tls"]))


def certificate_pair(case: Case) -> Case:
    revoked = {}
    for issuing, name in case.get("crls", {}).items():
        issuer = load_certificate(certificate(issuing))
        revoked[certificate_hash(issuer)] = revocation.verify_crl(unb64(ACTORS["crls"][name]), issuer, NOW)
    former = tuple(load_certificate(certificate(name)) for name in case.get("former", ()))
    trust = replace(TRUST, revoked=revoked, former=former)
    verified = chains.verify_doctor(pair_of(case), trust, moment(case["at"]))
    return {"doubtful": verified.doubtful}


def issuing_cas(case: Case) -> Case:
    trust_of(case)
    return {}


def crl(case: Case) -> Case:
    issuer = load_certificate(certificate(case["issuer"]))
    at = None if case["at"] is None else moment(case["at"])
    return {"revoked": len(revocation.verify_crl(unb64(case["data"]), issuer, at))}


def canonical_json(case: Case) -> Case:
    decode_manifest(unb64(case["data"]))
    return {}


def signatures_of(case: Case) -> Signatures:
    return Signatures(mldsa65=unb64(case["mldsa65"]), ecdsa_p256=unb64(case["ecdsa_p256"]))


def manifest(case: Case) -> Case:
    signed = SignedManifest(
        manifest=case["manifest"].encode(), signatures=signatures_of(case), certificates=pair_of(case)
    )
    records.verify_manifest(signed, TRUST, moment(case["at"]))
    return {}


def vault_statement(case: Case) -> Case:
    signed = SignedVaultStatement(
        statement=case["statement"].encode(), mldsa65=unb64(case["mldsa65"]), ecdsa_p384=unb64(case["ecdsa_p384"])
    )
    at = None if case["at"] is None else moment(case["at"])
    statements.verify_vault_statement(signed, TRUST, at=at, lowest_version=case["lowest_version"])
    return {}


def enrolment_request(case: Case) -> Case:
    request = canonical.decode(case["request"].encode(), EnrolmentRequest, limit=256 * 1024)
    nonce = unb64(case["nonce"])
    proven = enrolment.verify_enrolment(request, vault=case["vault"], doctor=case["doctor"], nonce=nonce)
    return {"indices": list(word_indices(proven.statement)), "words": list(fingerprint_words(proven.statement))}


def verified_grant(name: str, at: int) -> statements.VerifiedGrant:
    grant = FILES["grants"]["grants"][name]
    signed = SignedGrant(
        statement=grant["statement"].encode(), signatures=signatures_of(grant), certificates=pair_of(grant)
    )
    return statements.verify_grant(signed, TRUST, moment(at))


def grant(case: Case) -> Case:
    verified_grant(case["grant"], case["at"])
    return {}


def grant_chain(case: Case) -> Case:
    chain = [verified_grant(name, ACTORS["now"]) for name in case["chain"]]
    at = moment(case["at"])
    return {"role": statements.verify_grant_chain(chain, case["doctor"], case["key"], case["patient"], at)}


def frame(case: Case) -> Case:
    stream = ByteStream([data_of(case, CASES["frames"])])
    header = frames.read_frame_header(stream)
    opened = frames.open_frame(header, stream, kem_private_key(unb64(ACTORS["kem_seed"])), TRUST, NOW)
    return {"content_sha256": sha256_hex(b"".join(opened.content))}


def stored_object(case: Case) -> Case:
    told = FILES["objects"]["expected"] | case
    header = canonical.decode(msgspec.json.encode(told["header"]), ObjectHeader, limit=8192)
    expected = objects.ExpectedObject(header, told["record_hash"])
    opened = objects.open_object(ByteStream([data_of(case, CASES["objects"])]), expected, unb64(told["dek"]))
    return {"content_sha256": sha256_hex(b"".join(opened.content))}


def sealed_request(case: Case) -> Case:
    doctor = chains.verify_doctor(pair_of({"signing": "ada-signing", "tls": "ada-tls"}), TRUST, NOW)
    body, key = data_of(case, CASES["requests"]), kem_private_key(unb64(ACTORS["kem_seed"]))
    requests.verify_request(body, key, doctor, ACTORS["vault"], NOW, skew=FILES["requests"]["skew"])
    return {}


def answer(case: Case) -> Case:
    key = requests.AnswerKey("VQ-65", case["request_hash"], unb64(case["answer_key"]))
    _, content = requests.open_answer(key, [data_of(case, CASES["answers"])], Done)
    return {"content_sha256": sha256_hex(b"".join(content))}


def receipt(case: Case) -> Case:
    text, (more, count) = case["receipt"], case.get("append", ("", 0))
    log: dict[str, Any] = {key: value if key == "origin" else unb64(value) for key, value in ACTORS["log"].items()}
    data = FILES["receipts"]["manifest"].encode()
    position = receipts.verify_record_receipt(
        decode_receipt(text + more * count),
        decode_manifest(data),
        data,
        LogKeys(**log),
        record_hash=case["record_hash"],
    )
    return {"index": position.index, "time": position.time}


VERIFIERS: dict[str, Callable[[Case], Any]] = {
    "answers": answer,
    "canonical_json": canonical_json,
    "certificate_pairs": certificate_pair,
    "crls": crl,
    "enrolments": enrolment_request,
    "frames": frame,
    "grant_chains": grant_chain,
    "grants": grant,
    "issuing_cas": issuing_cas,
    "manifests": manifest,
    "objects": stored_object,
    "receipts": receipt,
    "requests": sealed_request,
    "vault_statements": vault_statement,
}
