"""A key per patient: made, opened, and used for what belongs to that patient alone.

The patient key is wrapped by the keystore's master key and sealed to the recovery key. It wraps the DEKs
of the patient's records and seals the demographics. Each use is bound to its purpose and owner.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from vaultq_core.crypto import sealing
from vaultq_core.crypto.wrapping import KEY_BYTES, unwrap, wrap
from vaultq_core.errors import KeyNotFound, NotFound
from vaultq_core.registry.patients import Patient
from vaultq_core.spi.keystore import KeyId, Keystore, WrappedKey
from vaultq_core.wire import canonical
from vaultq_core.wire.aad import wrap_aad
from vaultq_core.wire.limits import HEADER_BYTES
from vaultq_core.wire.sealed_request import Demographics
from vaultq_core.wire.suite import VQ_65

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class NewPatientKey:
    """A fresh patient key with the two forms in which it rests."""

    key: PatientKey
    wrapped: WrappedKey
    sealed_for_recovery: bytes


@dataclass(frozen=True, slots=True)
class PatientKey:
    """One patient's key, open in memory."""

    vault: str
    patient: str
    _key: bytes = field(repr=False)

    def wrap_dek(self, record: str, dek: bytes) -> bytes:
        """Return a record's DEK, wrapped for that record only."""
        return wrap(self._key, dek, self._aad("record", f"{self.patient}/{record}"))

    def unwrap_dek(self, record: str, wrapped: bytes) -> bytes:
        """Return a record's DEK. Raises NotVerified."""
        return unwrap(self._key, wrapped, self._aad("record", f"{self.patient}/{record}"))

    def seal_demographics(self, demographics: Demographics) -> bytes:
        """Return name, birth date and record number, sealed."""
        return wrap(self._key, canonical.encode(demographics), self._aad("demographics", self.patient))

    def open_demographics(self, sealed: bytes) -> Demographics:
        """Return them again. Raises NotVerified."""
        data = unwrap(self._key, sealed, self._aad("demographics", self.patient))
        return canonical.decode(data, Demographics, limit=HEADER_BYTES)

    def _aad(self, purpose: str, owner: str) -> bytes:
        return wrap_aad(self.vault, purpose, owner, _VERSION)


class PatientKeys:
    """Makes and opens patients' keys; `reread` returns a patient's row as it is now."""

    def __init__(
        self, keystore: Keystore, vault: str, recovery_public: bytes, reread: Callable[[str], Patient]
    ) -> None:
        self._keystore = keystore
        self._vault = vault
        self._recovery = recovery_public
        self._reread = reread

    def make(self, patient: str) -> NewPatientKey:
        """Return a fresh key. Raises KeystoreUnavailable."""
        key = secrets.token_bytes(KEY_BYTES)
        info = sealing.recovery_info(VQ_65, self._vault, self._recovery, patient)
        return NewPatientKey(
            PatientKey(self._vault, patient, key),
            self._keystore.wrap_key(key, aad=self._aad(patient)),
            sealing.seal(self._recovery, key, info),
        )

    def open(self, row: Patient) -> PatientKey:
        """Return a patient's key. Raises NotFound once erased; NotVerified, KeyNotFound or KeystoreUnavailable."""
        try:
            key = self._unwrapped(row)
        except KeyNotFound:  # its master key was rotated and destroyed since the row was read
            key = self._unwrapped(self._reread(row.id))
        return PatientKey(self._vault, row.id, key)

    def rewrap(self, row: Patient, master: KeyId) -> WrappedKey:
        """Return a patient's key under another master key. Raises as `open`."""
        return self._keystore.wrap_key(self._unwrapped(row), aad=self._aad(row.id), key_id=master)

    def _unwrapped(self, row: Patient) -> bytes:
        if row.wrapped_key is None:
            raise NotFound("there is no such patient any more")
        return self._keystore.unwrap_key(WrappedKey.parse(row.wrapped_key), aad=self._aad(row.id))

    def _aad(self, patient: str) -> bytes:
        return wrap_aad(self._vault, "patient", patient, _VERSION)
