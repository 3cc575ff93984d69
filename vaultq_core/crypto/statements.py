"""Vault and grant statements, signed and verified (docs/spec/statements.md)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from vaultq_core.crypto import signatures
from vaultq_core.crypto.chains import Trust, VerifiedDoctor, verify_doctor
from vaultq_core.crypto.keys import SigningKeys
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import issuer_public_key
from vaultq_core.errors import CannotVerify, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.limits import GRANT_CHAIN
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.statements import (
    GrantStatement,
    Role,
    SignedGrant,
    SignedVaultStatement,
    VaultStatement,
    decode_grant_statement,
    decode_vault_statement,
)
from vaultq_core.wire.suite import require_readable

_RANK: dict[Role, int] = {"read": 1, "write": 2, "own": 3}


def sign_vault_statement(
    statement: VaultStatement, pq: mldsa.MLDSA65PrivateKey, servers: ec.EllipticCurvePrivateKey
) -> SignedVaultStatement:
    """Return the statement, signed by the keys of the PQ issuing CA and the servers CA."""
    data = canonical.encode(statement)
    return SignedVaultStatement(
        statement=data,
        mldsa65=pq.sign(data, signatures.VAULT_STATEMENT),
        ecdsa_p384=signatures.sign_ecdsa(servers, data, signatures.VAULT_STATEMENT, hashes.SHA384()),
    )


def verify_vault_statement(
    signed: SignedVaultStatement, trust: Trust, *, at: dt.datetime | None, lowest_version: int = 0
) -> VaultStatement:
    """Prove a vault statement.

    1. The PQ issuing CA's ML-DSA-65 signature covers it.
    2. The servers CA's ECDSA P-384 signature covers it.
    3. It is canonical, of a readable suite, and speaks of the vault of these roots.
    4. Its version is not lower than the one the client has seen, and it has not ended at `at` (None: old evidence).

    Returns the statement. Raises NotVerified, naming the step; CannotVerify when it has ended.
    """
    pq, servers = issuer_public_key(trust.pq), issuer_public_key(trust.servers)
    if not isinstance(pq, mldsa.MLDSA65PublicKey) or not isinstance(servers, ec.EllipticCurvePublicKey):
        raise NotVerified("the issuing CAs are not of their kind", step=1)
    data, context = signed.statement, signatures.VAULT_STATEMENT
    with step(1):
        signatures.verify_mldsa65(pq, signed.mldsa65, data, context)
    with step(2):
        signatures.verify_ecdsa(servers, signed.ecdsa_p384, data, context, hashes.SHA384())
    with step(3):
        statement = decode_vault_statement(data)
        require_readable(statement.suite)
    if statement.vault != trust.anchors.vault:
        raise NotVerified("the statement is another vault's", step=3)
    if statement.version < lowest_version:  # 4
        raise NotVerified("the vault showed a newer statement before", step=4)
    if at is not None and at.timestamp() > statement.expires:
        raise CannotVerify("the vault statement has ended", step=4)
    return statement


def sign_grant(statement: GrantStatement, keys: SigningKeys, certificates: CertificatePair) -> SignedGrant:
    """Return the grant, signed by its author."""
    data = canonical.encode(statement)
    return SignedGrant(
        statement=data, signatures=signatures.sign_both(keys, data, signatures.GRANT), certificates=certificates
    )


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A grant and its author, proven by both signatures."""

    statement: GrantStatement
    author: VerifiedDoctor


def verify_grant(signed: SignedGrant, trust: Trust, at: dt.datetime) -> VerifiedGrant:
    """Prove one grant by itself; `at` is the time at which its author's certificates must hold.

    1. The statement is canonical, of a readable suite and of this vault.
    2. Its author's certificates hold, and name the author.
    3. Both signatures cover it.

    Raises NotVerified, naming the step.
    """
    with step(1):
        statement = decode_grant_statement(signed.statement)
        require_readable(statement.suite)
    if statement.vault != trust.anchors.vault:
        raise NotVerified("the grant is another vault's", step=1)
    with step(2, "the author's certificates"):
        author = verify_doctor(signed.certificates, trust, at)
    if author.id != statement.author:
        raise NotVerified("the grant names another author than its certificates", step=2)
    with step(3):
        signatures.verify_both(author.keys, signed.signatures, signed.statement, signatures.GRANT)
    return VerifiedGrant(statement, author)


def verify_grant_chain(chain: Sequence[VerifiedGrant], doctor: str, key: str, patient: str, at: dt.datetime) -> Role:
    """Prove that `doctor`, with the signing key hash `key`, holds a role on `patient` at `at`.

    `chain` runs from the founding grant to the doctor's own; each was proven by `verify_grant`.

    1. It is not longer than GRANT_CHAIN, and every grant is about this patient.
    2. It begins with a founding grant: own, without parent and end, from its author's key to itself.
    3. Each next grant names its parent, is given by the doctor and key the parent names, who holds own,
       and gives no more and for no longer than the parent.
    4. The last one names this doctor and this key, and none has ended at `at`.

    Returns the role. Raises NotVerified, naming the step.
    """
    if not 0 < len(chain) <= GRANT_CHAIN or any(each.statement.patient != patient for each in chain):  # 1
        raise NotVerified("the grants do not form a chain for this patient", step=1)
    _require_founding(chain[0])  # 2
    for parent, child in itertools.pairwise(chain):  # 3
        _require_given(parent.statement, child)
    last = chain[-1].statement
    ends = (each.statement.until for each in chain)
    # `until` is the last second that a grant holds, to its end.
    if (last.doctor, last.key) != (doctor, key) or any(e is not None and int(at.timestamp()) > e for e in ends):  # 4
        raise NotVerified("no grant gives this doctor's key a role now", step=4)
    return last.role


def allows(held: Role, needed: Role) -> bool:
    """Tell whether one role contains another: own contains write, write contains read."""
    return _RANK[held] >= _RANK[needed]


def _require_founding(first: VerifiedGrant) -> None:
    said = first.statement
    if said.parent is not None or said.role != "own" or said.until is not None:
        raise NotVerified("the first grant is not a founding one", step=2)
    if (said.doctor, said.key) != (first.author.id, first.author.key):
        raise NotVerified("a founding grant names its own author", step=2)


def _require_given(parent: GrantStatement, child: VerifiedGrant) -> None:
    said = child.statement
    if said.parent != parent.grant or (child.author.id, child.author.key) != (parent.doctor, parent.key):
        raise NotVerified("a grant is not given by the holder of its parent", step=3)
    if parent.role != "own" or not allows(parent.role, said.role):
        raise NotVerified("a grant gives more than its author holds", step=3)
    if parent.until is not None and (said.until is None or said.until > parent.until):
        raise NotVerified("a grant lasts longer than its author's own", step=3)
