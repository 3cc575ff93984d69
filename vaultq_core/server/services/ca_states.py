"""What an operator sees of the issuing CAs: which are in force, where their keys are, and who has not renewed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.x509_profile import certificate_hash, subject_name
from vaultq_core.errors import KeyNotFound
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.server.authorities import ROLES, key_of
from vaultq_core.server.services.desk import KeyDesk
from vaultq_core.server.services.doctor_units import issuer_name
from vaultq_core.wire.entries import ReplaceableCa


@dataclass(frozen=True, slots=True)
class CaState:
    """An issuing CA as an operator sees it; times in POSIX seconds.

    `state` is present, former or closed. `certificates` counts what it issued that is active; `hanging` names whose
    newest certificate that is: they have not renewed yet. `key`: the key's id, or None when it is not here.
    """

    role: ReplaceableCa
    state: str
    name: str
    sha256: str
    created: int
    not_after: int
    key: str | None
    certificates: int
    hanging: tuple[str, ...]


def ca_states(desk: KeyDesk) -> tuple[CaState, ...]:
    """Return every CA of the three roles, present first. Raises KeystoreUnavailable, RegistryUnavailable."""
    with desk.registry.reading() as tx:
        cas = desk.authorities.read(tx)
        present = [_state(desk, tx, role, cas.present[role], "present", cas.rows[role].created) for role in ROLES]
        former = [
            _state(desk, tx, each.row.role, each.certificate, "former" if each.is_open else "closed", each.row.created)
            for each in cas.former
        ]
    return (*present, *former)


def _state(
    desk: KeyDesk, tx: Connection, role: ReplaceableCa, certificate: x509.Certificate, state: str, created: int
) -> CaState:
    active = desk.registry.certificates.active_by(tx, issuer_name(certificate.subject), desk.seconds())
    return CaState(
        role=role,
        state=state,
        name=subject_name(certificate),
        sha256=certificate_hash(certificate),
        created=created,
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        key=_key(desk, role, certificate),
        certificates=len(active),
        hanging=_hanging(desk, tx, active) if state == "former" else (),
    )


def _hanging(desk: KeyDesk, tx: Connection, active: Sequence[CertificateRow]) -> tuple[str, ...]:
    mine = {each.owner: each for each in active}
    return tuple(sorted(owner for owner, row in mine.items() if not _is_renewed(desk, tx, row)))


def _is_renewed(desk: KeyDesk, tx: Connection, row: CertificateRow) -> bool:
    """Tell whether another CA has given its owner a certificate for the same thing that is no older."""
    alike = [each for each in desk.registry.certificates.of_owner(tx, row.owner) if each.role == row.role]
    others = [each for each in alike if each.issuer != row.issuer and each.is_active(desk.seconds())]
    return any(each.not_before >= row.not_before for each in others)


def _key(desk: KeyDesk, role: ReplaceableCa, certificate: x509.Certificate) -> str | None:
    try:
        return str(key_of(desk.keystore, f"{role}-ca", certificate))
    except KeyNotFound:
        return None
