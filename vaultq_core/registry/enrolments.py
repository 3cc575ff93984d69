"""Enrolments: from the one-time password to the administrator's decision.

One is known by SHA-256 of the secret that its client got, so the registry alone cannot continue it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.people import enrolments

EnrolmentStep = Literal["open", "pending", "issued", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One enrolment. `request` holds the signed statement and requests, from `pending` on. POSIX seconds.

    `words` are the seven words of the statement, space-separated; `log_index` is the decision's entry.
    """

    secret_hash: str = field(repr=False)
    doctor: str
    nonce: bytes
    state: EnrolmentStep
    created: int
    expires: int
    request: bytes | None = field(default=None, repr=False)
    statement_hash: str | None = None
    words: str | None = None
    received_at: int | None = None
    decided_at: int | None = None
    decided_by: str | None = None
    log_index: int | None = None


class Enrolments:
    """All enrolments; at most one of a doctor is open, and at most one pending."""

    def __init__(self) -> None:
        self._rows = Rows(enrolments, Enrolment, "enrolment")

    def open(self, tx: Connection, enrolment: Enrolment) -> None:
        """Start an enrolment in place of the doctor's open one. Raises Conflict while one is pending."""
        columns = enrolments.c
        if self._of(tx, enrolment.doctor, "pending") is not None:
            raise Conflict("keys were received for this doctor and wait for the administrator")
        self._rows.remove(tx, columns.doctor == enrolment.doctor, columns.state == "open")
        self._rows.insert(tx, enrolment)

    def by_secret(self, tx: Connection, doctor: str, secret_hash: str) -> Enrolment:
        """Return the doctor's enrolment of that secret. Raises NotFound."""
        return self._rows.only(tx, enrolments.c.secret_hash == secret_hash, enrolments.c.doctor == doctor)

    def receive(
        self, tx: Connection, enrolment: Enrolment, *, request: bytes, statement_hash: str, words: str, now: int
    ) -> Enrolment:
        """Keep the keys that an open enrolment proved. Raises Conflict when it isn't open, or is over."""
        if enrolment.state != "open" or enrolment.expires <= now:
            raise Conflict("this enrolment takes no keys any more")
        return self._rows.change(
            tx,
            enrolment,
            state="pending",
            request=request,
            statement_hash=statement_hash,
            words=words,
            received_at=now,
        )

    def pending(self, tx: Connection, doctor: str) -> Enrolment:
        """Return the doctor's enrolment that waits for a decision. Raises Conflict when none does."""
        found = self._of(tx, doctor, "pending")
        if found is None:
            raise Conflict("no keys of this doctor wait for a decision")
        return found

    def decide(
        self,
        tx: Connection,
        enrolment: Enrolment,
        state: Literal["issued", "rejected"],
        *,
        administrator: str,
        now: int,
        log_index: int,
    ) -> Enrolment:
        """End the pending enrolment that was read. Raises Conflict when it changed since or is not pending."""
        if enrolment.state != "pending":
            raise Conflict(f"this enrolment is {enrolment.state}")
        return self._rows.change(
            tx, enrolment, state=state, decided_at=now, decided_by=administrator, log_index=log_index
        )

    def page(self, tx: Connection, state: EnrolmentStep, *, after: str = "", limit: int) -> tuple[Enrolment, ...]:
        """Return at most `limit` enrolments in a state by doctor, from the doctor that follows `after`."""
        columns = enrolments.c
        return self._rows.page(tx, columns.state == state, columns.doctor > after, order=columns.doctor, limit=limit)

    def _of(self, tx: Connection, doctor: str, state: EnrolmentStep) -> Enrolment | None:
        columns = enrolments.c
        return self._rows.first(tx, columns.doctor == doctor, columns.state == state, order=columns.created)
