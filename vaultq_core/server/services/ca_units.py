"""The units that replace and close issuing CAs: each writes its rows and says so in the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.x509_profile import certificate_hash, der
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.crls import CrlRow
from vaultq_core.registry.vault import IssuingCa
from vaultq_core.server.authorities import Former
from vaultq_core.server.services.crls import SUPERSEDED
from vaultq_core.server.services.desk import KeyDesk
from vaultq_core.server.services.doctor_units import issuer_name
from vaultq_core.server.services.maintenance import PublishStatement
from vaultq_core.wire.entries import IssuingCaClosed, IssuingCaReplaced, LogEntry, ReplaceableCa


@dataclass(frozen=True, slots=True)
class NewCa:
    """A CA that was made to take the place of `former`, with its first list."""

    role: ReplaceableCa
    former: IssuingCa
    issuer: Issuer
    first_list: CrlRow


@dataclass(frozen=True, slots=True)
class ReplaceCas:
    """Brings new CAs into force, each with its first list; a new servers CA with a statement that it signed."""

    desk: KeyDesk
    made: Sequence[NewCa]
    statement: PublishStatement | None
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when a CA or the statement was replaced meanwhile."""
        entries = [self._replace(tx, turn.time, each) for each in self.made]
        if self.statement is not None:
            entries += self.statement.apply(tx, turn)
        self.desk.registry.epoch.advance(tx)
        return entries

    def _replace(self, tx: Connection, now: int, each: NewCa) -> LogEntry:
        rows, certificate = self.desk.registry, each.issuer.certificate
        rows.vault.replace_ca(tx, each.former, der(certificate), now)
        rows.crls.put(tx, each.first_list)
        return IssuingCaReplaced(
            vault=self.desk.vault,
            role=each.role,
            former=sha256_hex(each.former.der),
            present=certificate_hash(certificate),
        )


@dataclass(frozen=True, slots=True)
class CloseCa:
    """Ends what a former CA issued. Its last list is signed afterwards: it names all of this at its log time."""

    desk: KeyDesk
    former: Former
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when somebody else closed it."""
        rows, row = self.desk.registry, self.former.row
        for each in rows.certificates.active_by(tx, issuer_name(self.former.certificate.subject), turn.time):
            rows.certificates.revoke(tx, each.sha256, now=turn.time, reason=SUPERSEDED, log_index=turn.index)
        rows.vault.close_ca(tx, row, turn.time)
        rows.epoch.advance(tx)
        return (IssuingCaClosed(vault=self.desk.vault, role=row.role, certificate=row.sha256),)
