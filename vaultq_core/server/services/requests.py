"""Sealed requests: opened, proven, given to the use case they ask for, and answered under their own key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from vaultq_core.crypto.requests import AnswerKey, read_request_header, seal_answer, verify_request
from vaultq_core.server.services.access import Access, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.grants import Grants
from vaultq_core.server.services.patients import Patients
from vaultq_core.server.services.reading import Reading
from vaultq_core.server.services.renewal import Renewals
from vaultq_core.wire import sealed_request as wire


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A proven request. `streams` says that its answer carries a record's content."""

    streams: bool
    answer: Callable[[], Iterator[bytes]] = field(repr=False)


class Requests:
    """Opens sealed requests and answers them."""

    def __init__(self, desk: Desk, access: Access, renewals: Renewals) -> None:
        self._desk = desk
        self._access = access
        self._reading = Reading(desk, access)
        patients, grants = Patients(desk, access), Grants(desk, access)
        self._handlers: dict[type[wire.Operation], Callable[..., msgspec.Struct]] = {
            wire.PatientAdd: patients.add,
            wire.PatientFind: patients.find,
            wire.PatientList: patients.seen_by,
            wire.RecordList: self._reading.of_patient,
            wire.GrantGive: grants.give,
            wire.GrantList: grants.of_patient,
            wire.DoctorGet: grants.doctor,
            wire.CertificatesRenew: renewals.doctor,
        }

    def open(self, tls_certificate: str, body: bytes) -> OpenedRequest:
        """Prove a request. Raises NotAuthenticated, Malformed, NotVerified, or KeyNotFound for a destroyed month.

        1. The TLS certificate is an active doctor's.
        2. The body opens with the KEM key it names, and this doctor's ML-DSA-65 key signed it now
           (`verify_request`).
        """
        caller = self._access.doctor(tls_certificate)  # 1
        header, _ = read_request_header(body)
        key = self._desk.kem_keys.get(header.recipient)
        skew = int(self._desk.limits.request_skew_seconds)
        request, answer_key = verify_request(  # 2
            body, key, caller.doctor, self._desk.vault, self._desk.now(), skew=skew
        )
        operation = request.operation
        if isinstance(operation, wire.RecordGet):
            return OpenedRequest(streams=True, answer=lambda: self._record(caller, operation, answer_key))
        return OpenedRequest(streams=False, answer=lambda: self._message(caller, operation, answer_key))

    def _record(self, caller: Caller, operation: wire.RecordGet, key: AnswerKey) -> Iterator[bytes]:
        found = self._reading.get(caller, operation)
        return seal_answer(key, found.head, found.content)

    def _message(self, caller: Caller, operation: wire.Operation, key: AnswerKey) -> Iterator[bytes]:
        return seal_answer(key, self._handlers[type(operation)](caller, operation))
