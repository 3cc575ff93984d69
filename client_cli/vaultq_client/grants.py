"""Grants: giving one on from one's own, and listing those that hold, each proven up to the founder."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from vaultq_client.proofs import moment
from vaultq_client.results import GivenGrant, ListedGrant
from vaultq_client.session import Session
from vaultq_core.crypto.chains import VerifiedDoctor, verify_doctor
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.statements import VerifiedGrant, sign_grant, verify_grant, verify_grant_chain
from vaultq_core.errors import NotPermitted, NotVerified, Usage
from vaultq_core.wire import canonical
from vaultq_core.wire.entries import GrantGiven
from vaultq_core.wire.ids import DoctorId, PatientId, parse
from vaultq_core.wire.limits import GRANT_CHAIN
from vaultq_core.wire.sealed_request import Doctor, DoctorGet, Done, GrantGive, GrantList, Grants
from vaultq_core.wire.statements import GrantStatement, Role, decode_grant_statement
from vaultq_core.wire.suite import VQ_65

_FOREVER = 2**53


def list_grants(session: Session, patient: str) -> tuple[ListedGrant, ...]:
    """Return a patient's grants, each proven from the founder on. Raises NotVerified."""
    return tuple(_listed(each) for each in _proven_grants(session, patient))


def give_grant(session: Session, patient: str, doctor: str, role: Role, until: int | None) -> GivenGrant:
    """Give a colleague a role on a patient, until a time (POSIX seconds) or for good.

    Raises NotPermitted without an own grant, Usage when that one ends sooner.
    """
    colleague = _colleague(session, doctor)
    parent = _own_grant(session, patient)
    if parent.until is not None and (until is None or until > parent.until):
        end = f"{moment(parent.until):%Y-%m-%d %H:%M} UTC"
        raise Usage(f"your own grant ends on {end}; nobody gives for longer", remedy=f"Give it --until {end[:10]}.")
    statement = _statement(session, parent, colleague, role, until)
    signed = sign_grant(statement, session.identity.keys.signing, session.identity.certificates)
    done = session.ask(GrantGive(grant=signed), Done)
    position = session.verify_change(done.receipt)
    entry, meant = position.entry, (session.vault, statement.grant, sha256_hex(canonical.encode(signed)))
    if not isinstance(entry, GrantGiven) or (entry.vault, entry.grant_id, entry.grant) != meant:
        raise NotVerified("the receipt is about something else than this grant")
    return GivenGrant(
        statement.grant, patient, colleague.id, colleague.name, role, until, position.index, position.time
    )


def _colleague(session: Session, doctor: str) -> VerifiedDoctor:
    answer = session.ask(DoctorGet(doctor=parse(doctor, DoctorId, "doctor's id")), Doctor)
    colleague = verify_doctor(answer.certificates, session.view.trust, session.now())
    if colleague.id != doctor:
        raise NotVerified("the vault answered with another doctor's certificates")
    return colleague


def _own_grant(session: Session, patient: str) -> GrantStatement:
    me = (session.identity.doctor, session.key)
    said = (each.statement for each in _proven_grants(session, patient))
    own = [each for each in said if (each.doctor, each.key) == me and each.role == "own"]
    if not own:
        raise NotPermitted("you hold no `own` grant on this patient")
    return max(own, key=lambda each: _FOREVER if each.until is None else each.until)


def _statement(
    session: Session, parent: GrantStatement, colleague: VerifiedDoctor, role: Role, until: int | None
) -> GrantStatement:
    return GrantStatement(
        suite=VQ_65,
        vault=session.vault,
        grant=str(uuid.uuid4()),
        parent=parent.grant,
        patient=parent.patient,
        author=session.identity.doctor,
        doctor=colleague.id,
        key=colleague.key,
        role=role,
        created=int(session.now().timestamp()),
        until=until,
    )


def _proven_grants(session: Session, patient: str) -> tuple[VerifiedGrant, ...]:
    answer = session.ask(GrantList(patient=parse(patient, PatientId, "patient id")), Grants)
    trust, now = session.view.trust, session.now()
    proven = [
        verify_grant(each, trust, moment(decode_grant_statement(each.statement).created)) for each in answer.grants
    ]
    # One may have ended since the vault answered, or by our clock before its own.
    held = [each for each in proven if each.statement.until is None or each.statement.until >= int(now.timestamp())]
    by_id = {each.statement.grant: each for each in held}
    chains = [chain for each in held if (chain := _chain(each, by_id))]
    for chain in chains:
        said = chain[-1].statement
        verify_grant_chain(chain, said.doctor, said.key, patient, now)
    return tuple(chain[-1] for chain in chains)


def _chain(last: VerifiedGrant, by_id: Mapping[str, VerifiedGrant]) -> list[VerifiedGrant]:
    """Return the grants from the founder's to `last`; none when one between them has ended. Raises NotVerified."""
    chain = [last]
    while (parent := chain[0].statement.parent) is not None:
        if len(chain) > GRANT_CHAIN:
            raise NotVerified("a patient's grants run in a ring")
        if parent not in by_id:
            return []
        chain.insert(0, by_id[parent])
    return chain


def _listed(grant: VerifiedGrant) -> ListedGrant:
    said = grant.statement
    return ListedGrant(said.grant, said.doctor, said.role, grant.author.id, grant.author.name, said.created, said.until)
