"""Grants: which doctor may read, write or own a patient's records, each given by one who could."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Connection, bindparam, or_, select

from vaultq_core.errors import Conflict, RecordDamaged
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.patients import grants
from vaultq_core.wire.limits import GRANT_CHAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant; `statement` is the signed grant's exact bytes, `until` its last second (POSIX) or None."""

    id: str
    patient: str
    doctor: str
    role: Literal["read", "write", "own"]
    until: int | None
    statement: bytes
    parent: str | None
    log_index: int
    ended_at: int | None = None
    ended_by: str | None = None


class Grants:
    """All grants. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(grants, Grant, "grant", auth)

    def add(self, tx: Connection, grant: Grant) -> None:
        """Add the grant. Raises Conflict when the id is taken, or patient, doctor or parent are unknown."""
        self._rows.insert(tx, grant)

    def get(self, tx: Connection, grant: str) -> Grant:
        """Return the grant. Raises NotFound."""
        return self._rows.get(tx, grant)

    def find(self, tx: Connection, grant: str) -> Grant | None:
        """Return the grant, or None."""
        return self._rows.find(tx, grant)

    def in_force(self, tx: Connection, patient: str, doctor: str, now: int) -> tuple[Grant, ...]:
        """Return the doctor's grants on the patient that have not ended, oldest first.

        Whether they count depends on their chains as well: `chain`.
        """
        return self._rows.chosen(tx, _IN_FORCE, patient=patient, doctor=doctor, now=now)

    def chain(self, tx: Connection, grant: Grant) -> tuple[Grant, ...]:
        """Return the grants from the founder's to `grant`. Raises NotFound; RecordDamaged above 16."""
        found = [grant]
        while (parent := found[-1].parent) is not None:
            if len(found) == GRANT_CHAIN:
                raise RecordDamaged(f"the chain of grant {grant.id} has more than {GRANT_CHAIN} links")
            found.append(self.get(tx, parent))
        return tuple(reversed(found))

    def of_patient(self, tx: Connection, patient: str, *, after: int = -1, limit: int) -> tuple[Grant, ...]:
        """Return at most `limit` grants on a patient, ended ones too, by log index from the one after `after`."""
        where = (grants.c.patient == patient, grants.c.log_index > after)
        return self._rows.page(tx, *where, order=grants.c.log_index, limit=limit)

    def of_doctor(self, tx: Connection, doctor: str, now: int, *, after: str = "", limit: int) -> tuple[Grant, ...]:
        """Return at most `limit` grants in force of a doctor, by id from the one after `after`."""
        where = (grants.c.doctor == doctor, grants.c.id > after, *_holds(now))
        return self._rows.page(tx, *where, order=grants.c.id, limit=limit)

    def patients_of(self, tx: Connection, doctor: str, now: int, *, after: str = "", limit: int) -> tuple[str, ...]:
        """Return at most `limit` ids of patients on whom a doctor has grants in force, from the one after `after`.

        Not authenticated: whether a grant counts is for `in_force` and `chain` to say.
        """
        where = (grants.c.doctor == doctor, grants.c.patient > after, *_holds(now))
        found = select(grants.c.patient).where(*where).distinct().order_by(grants.c.patient).limit(limit)
        return tuple(tx.execute(found).scalars())

    def end(self, tx: Connection, grant: str, *, by: str, now: int) -> Grant:
        """End a grant for good. Raises NotFound, or Conflict when it ended before."""
        present = self.get(tx, grant)
        if present.ended_at is not None:
            raise Conflict("the grant ended before")
        return self._rows.change(tx, present, ended_at=now, ended_by=by)


def _holds(now: int | BindParameter[int]) -> tuple[ColumnElement[bool], ...]:
    return (grants.c.ended_at.is_(None), or_(grants.c.until.is_(None), grants.c.until >= now))


# Built once: the guard asks it on every request.
_IN_FORCE = (
    select(grants)
    .where(grants.c.patient == bindparam("patient"), grants.c.doctor == bindparam("doctor"))
    .where(*_holds(bindparam("now", type_=BigInteger)))
    .order_by(grants.c.log_index)
)
