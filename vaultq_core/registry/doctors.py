"""Doctors: who they are and where they stand between provisioning and revocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from vaultq_core.errors import Conflict
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.people import doctors

DoctorStatus = Literal["provisioned", "pending", "active", "revoked", "rejected"]

# A new one-time password brings anybody but an active doctor, who first loses his certificates, back to the start.
_NEXT: dict[DoctorStatus, frozenset[DoctorStatus]] = {
    "provisioned": frozenset({"provisioned", "pending", "revoked"}),
    "pending": frozenset({"provisioned", "active", "rejected", "revoked"}),
    "active": frozenset({"revoked"}),
    "rejected": frozenset({"provisioned", "revoked"}),
    "revoked": frozenset({"provisioned"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """A doctor; `created` in POSIX seconds."""

    id: str
    name: str
    status: DoctorStatus
    created: int


class Doctors:
    """All doctors that were ever provisioned. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(doctors, Doctor, "doctor", auth)

    def add(self, tx: Connection, doctor: Doctor) -> None:
        """Add the doctor. Raises Conflict when the id is taken."""
        self._rows.insert(tx, doctor)

    def get(self, tx: Connection, doctor: str) -> Doctor:
        """Return the doctor. Raises NotFound."""
        return self._rows.get(tx, doctor)

    def find(self, tx: Connection, doctor: str) -> Doctor | None:
        """Return the doctor, or None."""
        return self._rows.find(tx, doctor)

    def move(self, tx: Connection, doctor: str, status: DoctorStatus) -> Doctor:
        """Change a doctor's status. Raises NotFound, or Conflict when it cannot follow the present one."""
        present = self.get(tx, doctor)
        if status not in _NEXT[present.status]:
            raise Conflict(f"doctor {doctor} is {present.status} and cannot become {status}")
        return self._rows.change(tx, present, status=status)

    def page(
        self, tx: Connection, *, after: str = "", limit: int, status: DoctorStatus | None = None
    ) -> tuple[Doctor, ...]:
        """Return at most `limit` doctors by id, from the one that follows `after`."""
        where = [doctors.c.id > after] + ([] if status is None else [doctors.c.status == status])
        return self._rows.page(tx, *where, order=doctors.c.id, limit=limit)

    def count(self, tx: Connection, status: DoctorStatus) -> int:
        """Return how many doctors have `status`: a figure for people, not authenticated."""
        return tx.execute(select(func.count()).where(doctors.c.status == status)).scalar_one()
