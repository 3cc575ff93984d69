"""Every ML-DSA signature between a record and the two roots, checked by the second verifier as well."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa

from vaultq_client.proofs import ProvenRecord
from vaultq_core.crypto import signatures
from vaultq_core.crypto.chains import Trust
from vaultq_core.crypto.checkpoints import cosignature
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.crypto.second_opinion import MlDsaPublicKey, verify_again
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.errors import NotVerified
from vaultq_core.wire.bundle import Bundle
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.statements import VaultStatement

_Signature = tuple[MlDsaPublicKey, bytes, bytes, bytes]
"""Key, signature, what it covers, context."""

_X509_CONTEXT = b""  # RFC 9881, 3: ML-DSA in certificates and CRLs has an empty context


def verify_bundle_again(bundle: Bundle, trust: Trust, statement: VaultStatement, proven: ProvenRecord) -> int:
    """Return how many ML-DSA signatures there are, once dilithium-py finds each valid. Raises NotVerified."""
    found = [*_of_certificates(bundle, trust), *_of_statements(bundle, trust, statement, proven)]
    for key, signature, data, context in found:
        verify_again(key, signature, data, context)
    return len(found)


def _of_certificates(bundle: Bundle, trust: Trust) -> Iterator[_Signature]:
    root = _mldsa(trust.anchors.pq)
    signing = load_certificate(bundle.signed.certificates.signing)
    for key, certificate in ((root, trust.anchors.pq), (root, trust.pq), (_mldsa(trust.pq), signing)):
        yield key, certificate.signature, certificate.tbs_certificate_bytes, _X509_CONTEXT
    for crl in map(load_crl, bundle.crls):
        if crl.issuer == trust.pq.subject:
            yield _mldsa(trust.pq), crl.signature, crl.tbs_certlist_bytes, _X509_CONTEXT


def _of_statements(
    bundle: Bundle, trust: Trust, statement: VaultStatement, proven: ProvenRecord
) -> Iterator[_Signature]:
    said, signed = bundle.statement, bundle.signed
    yield _mldsa(trust.pq), said.mldsa65, said.statement, signatures.VAULT_STATEMENT
    yield proven.author.keys.mldsa65, signed.signatures.mldsa65, signed.manifest, signatures.RECORD
    signature, message = cosignature(decode_receipt(bundle.receipt).checkpoint, statement.log)
    yield mldsa.MLDSA44PublicKey.from_public_bytes(statement.log.mldsa44), signature, message, b""


def _mldsa(certificate: x509.Certificate) -> MlDsaPublicKey:
    key = certificate.public_key()
    if not isinstance(key, mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey):
        raise NotVerified("a post-quantum CA's key is not ML-DSA")
    return key
