"""One-time passwords for enrolment: their bcrypt hashes, and the tries that are left.

A try is counted down before anybody computes bcrypt, so that no number of parallel requests gets more of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, update

from vaultq_core.errors import Conflict
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.people import one_time_passwords as passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimePassword:
    """A doctor's present one-time password, hashed; times in POSIX seconds."""

    doctor: str
    hash: bytes = field(repr=False)
    expires: int
    attempts_left: int
    spent_at: int | None = None


class OneTimePasswords:
    """At most one password a doctor."""

    def __init__(self) -> None:
        self._rows = Rows(passwords, OneTimePassword, "one-time password")

    def set(self, tx: Connection, password: OneTimePassword) -> None:
        """Store a doctor's password in place of any older one. Raises Conflict for an unknown doctor."""
        self._rows.remove(tx, passwords.c.doctor == password.doctor)
        self._rows.insert(tx, password)

    def find(self, tx: Connection, doctor: str) -> OneTimePassword | None:
        """Return the doctor's newest password, spent or not, or None. This is no try."""
        return self._rows.find(tx, doctor)

    def take_attempt(self, tx: Connection, doctor: str, now: int) -> bytes | None:
        """Use up one try and return the hash to compare with; None when there is none left or none that holds.

        Commit before comparing, else a crash or an error gives the try back.
        """
        taken = (
            update(passwords)
            .where(passwords.c.doctor == doctor, passwords.c.spent_at.is_(None))
            .where(passwords.c.attempts_left > 0, passwords.c.expires > now)
            .values(attempts_left=passwords.c.attempts_left - 1)
            .returning(passwords.c.hash)
        )
        found: bytes | None = tx.execute(taken).scalar_one_or_none()
        return found

    def give_back(self, tx: Connection, doctor: str, hashed: bytes) -> None:
        """Give back the try that turned out right: opening an enrolment may be repeated until keys arrive."""
        given = update(passwords).where(passwords.c.doctor == doctor, passwords.c.hash == hashed)
        tx.execute(given.values(attempts_left=passwords.c.attempts_left + 1))

    def spend(self, tx: Connection, doctor: str, now: int) -> None:
        """End the password: its keys were received. Raises Conflict when it is spent or there is none."""
        spent = update(passwords).where(passwords.c.doctor == doctor, passwords.c.spent_at.is_(None))
        if tx.execute(spent.values(spent_at=now)).rowcount != 1:
            raise Conflict("the one-time password was spent before")
