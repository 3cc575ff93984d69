"""Re-wrapping: every key that rests in the registry under a newer keystore key, while everybody goes on working.

Rows are read in one short transaction, re-wrapped outside of any, and written in another one if they are still what
was read. It may end anywhere: what is left cites an older key, and is found again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vaultq_core.registry.citations import patients_before
from vaultq_core.registry.keys import SealedKey
from vaultq_core.server.keyring import Keyring
from vaultq_core.spi.keystore import KeyId, WrappedKey

BATCH_ROWS: Final = 250  # written in a few milliseconds, so that nobody who commits waits for longer

Progress = Callable[[str, int, int], None]
"""Is told of what is re-wrapped ("patient keys"), how many are done, and how many there are."""


class Rewrapper:
    """Puts what older master keys wrap under `master`, which is newer than every key that a row cites."""

    def __init__(self, keyring: Keyring, master: KeyId, progress: Progress) -> None:
        self._keyring = keyring
        self._master = master
        self._progress = progress

    def run(self) -> tuple[int, int]:
        """Re-wrap until no row cites an older master key; return how many sealed keys and patient keys.

        Sealed keys come first: from then on no new patient's key is taken under an older one (`Patients.add`).
        Raises KeystoreError, Unavailable, NotVerified or RecordDamaged; another run goes on where this one ended.
        """
        return self._sealed_keys(), self._patient_keys()

    def _sealed_keys(self) -> int:
        registry, box = self._keyring.registry, self._keyring.box
        older = self._older_sealed_keys()
        rewrapped = [(key, box.wrap(key.name, box.unwrap(key.name, WrappedKey.parse(key.wrapped)))) for key in older]
        with registry.writing() as tx:
            self._keyring.lease.renew(tx)
            for key, wrapped in rewrapped:
                registry.sealed_keys.rewrap(tx, key, wrapped=bytes(wrapped), key_id=str(wrapped.key_id))
        self._progress("sealed keys", len(older), len(older))
        return len(older)

    def _older_sealed_keys(self) -> list[SealedKey]:
        with self._keyring.registry.reading() as tx:
            every = self._keyring.registry.sealed_keys.every(tx)
        return [key for key in every if KeyId.parse(key.key_id) < self._master]

    def _patient_keys(self) -> int:
        registry, done = self._keyring.registry, 0
        with registry.reading() as tx:
            total = patients_before(tx, self._master.version)
        while True:
            with registry.reading() as tx:
                page = registry.patients.wrapped_before(tx, self._master.version, limit=BATCH_ROWS)
            if not page:
                return done
            wrapped = [(row, self._keyring.patient_keys.rewrap(row, self._master)) for row in page]
            with registry.writing() as tx:
                self._keyring.lease.renew(tx)
                done += registry.patients.rewrap_all(tx, wrapped)
            self._progress("patient keys", done, max(done, total))
