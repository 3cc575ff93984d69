"""The admin listener as a typed client, usable as a library (docs/spec/http.md).

A change is sent once and never repeated by itself: after a lost connection, look at the present state first.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from vaultq_client.admin.home import AdminHome
from vaultq_client.tls import client_context
from vaultq_client.transport import Body, Transport, decode_body
from vaultq_core.errors import CannotConnect, Conflict, Malformed, NotFound, Unavailable
from vaultq_core.wire import paths
from vaultq_core.wire.api import (
    AdministratorCertificate,
    Change,
    DoctorIssue,
    DoctorNew,
    DoctorProvision,
    DoctorRevoke,
    DoctorRow,
    Doctors,
    LogPage,
    LogRow,
    ServerStatus,
)
from vaultq_core.wire.ids import DoctorId, parse
from vaultq_core.wire.limits import CERTIFICATE_BYTES, KIB, PAGE_ITEMS

ANSWER_BYTES = 16 * KIB
PAGE_BYTES = PAGE_ITEMS * 10 * KIB  # an entry of the log has 8 KiB at most

_LOOK_FIRST = "The change may have been made all the same. Look first: vaultq-admin doctors list"

T = TypeVar("T")


class AdminClient:
    """One administrator's calls. Every method raises VaultQErrors only: the vault's own, or Unavailable."""

    def __init__(self, transport: Transport) -> None:
        """Speak over `transport`, which shows an administrator's certificate."""
        self._transport = transport

    def status(self) -> ServerStatus:
        """Return versions, backends and counts."""
        return decode_body(self._transport.get(paths.STATUS, limit=ANSWER_BYTES), ServerStatus)

    def doctors(self) -> Iterator[DoctorRow]:
        """Yield every doctor, by id, page by page."""
        return self._listed(paths.DOCTORS)

    def pending(self) -> Iterator[DoctorRow]:
        """Yield the doctors whose proven keys wait for somebody to compare the words."""
        return self._listed(paths.PENDING)

    def doctor(self, doctor: str) -> DoctorRow:
        """Return one doctor. Raises Malformed for what is no id, NotFound."""
        wanted = _id(doctor)
        for row in self.doctors():
            if row.doctor == wanted:
                return row
        raise NotFound(f"there is no doctor {wanted}", remedy="`vaultq-admin doctors list` shows every id.")

    def waiting(self, doctor: str) -> DoctorRow:
        """Return one doctor who waits, with the words. Raises Malformed for what is no id, Conflict if none waits."""
        wanted = _id(doctor)
        for row in self.pending():
            if row.doctor == wanted:
                return row
        raise Conflict(f"{wanted} does not wait for certificates", remedy="`vaultq-admin doctors pending` shows who.")

    def add_doctor(self, name: str) -> DoctorProvision:
        """Make a doctor's id and one-time password, which no later call shows again."""
        return self._change(paths.DOCTORS, DoctorProvision, DoctorNew(name=name))

    def issue(self, doctor: str, words: tuple[str, ...]) -> Change:
        """Issue both certificates for the keys that have these seven words. Raises Conflict when they changed."""
        return self._change(_of(doctor, "issue"), Change, DoctorIssue(words=words))

    def reject(self, doctor: str) -> Change:
        """Refuse the keys that wait, since the words differ."""
        return self._change(_of(doctor, "reject"), Change)

    def revoke(self, doctor: str, reason: str, compromised_since: int | None = None) -> Change:
        """End both certificates now; records signed from `compromised_since` (POSIX seconds) on become doubtful."""
        body = DoctorRevoke(reason=reason, compromised_since=compromised_since)
        return self._change(_of(doctor, "revoke"), Change, body)

    def newest_certificate(self) -> AdministratorCertificate:
        """Return this administrator's newest certificate, which is a new one if it was due. Safe to repeat."""
        body, limit = Body.of(b"", "application/json"), 4 * CERTIFICATE_BYTES
        answer = self._transport.send("POST", paths.RENEWAL, body, limit=limit)
        return decode_body(answer, AdministratorCertificate)

    def log(self, start: int = 0) -> Iterator[LogRow]:
        """Yield the entries of the log from index `start` on, oldest first, page by page."""
        after: int | None = start
        while after is not None:
            query = {"after": after, "limit": PAGE_ITEMS}
            page = decode_body(self._transport.get(paths.LOG_ENTRIES, limit=PAGE_BYTES, query=query), LogPage)
            yield from page.entries
            _require_progress(page.next, after)
            after = page.next

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _listed(self, path: str) -> Iterator[DoctorRow]:
        after: str | None = ""
        while after is not None:
            query: dict[str, int | str] = {"limit": PAGE_ITEMS} | ({"after": after} if after else {})
            page = decode_body(self._transport.get(path, limit=PAGE_BYTES, query=query), Doctors)
            yield from page.doctors
            _require_progress(page.next, after)
            after = page.next

    def _change(self, path: str, kind: type[T], body: msgspec.Struct | None = None) -> T:
        content = Body.of(b"", "application/json") if body is None else Body.json(body)
        try:
            return decode_body(self._transport.send_once("POST", path, content, limit=ANSWER_BYTES), kind)
        except CannotConnect:
            raise  # no vault was reached
        except Unavailable as error:
            raise type(error)(str(error), remedy=_LOOK_FIRST, retry_after=error.retry_after) from None


def connect(home: AdminHome, passphrase: str) -> AdminClient:
    """Return a client for the vault of `home`; nothing is sent yet. Raises as `AdminHome.identity`."""
    context = client_context(home.anchors.hospital, home.identity(passphrase))
    return AdminClient(Transport(home.address, context))


def _of(doctor: str, step: str) -> str:
    return f"{paths.DOCTORS}/{_id(doctor)}/{step}"


def _id(doctor: str) -> str:
    return parse(doctor, DoctorId, "doctor's id")


def _require_progress(following: T | None, last: T) -> None:
    if following is not None and not following > last:  # type: ignore[operator]
        raise Malformed("the vault's listing does not move on")
