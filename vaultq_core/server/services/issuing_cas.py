"""Replacing the issuing CAs under the hospital root, and closing former ones (docs/operations.md).

A replacement is one commit: it either came into force with certificate, statement, list and entry, or nothing
did, but for keys in the keystore that nothing cites.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from vaultq_core.crypto.authorities import issue_issuing_ca
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.x509_profile import certificate_hash, subject_name
from vaultq_core.errors import Conflict, LimitExceeded, NotFound
from vaultq_core.registry.statements import StatementRow
from vaultq_core.server.authorities import ROLES, ROOT_CA, Cas, Former, issuer_of
from vaultq_core.server.ceremony import make_statement
from vaultq_core.server.services.ca_states import CaState, ca_states
from vaultq_core.server.services.ca_units import CloseCa, NewCa, ReplaceCas
from vaultq_core.server.services.crls import CrlPublisher, signed_crl
from vaultq_core.server.services.desk import KeyDesk
from vaultq_core.server.services.maintenance import PublishStatement
from vaultq_core.spi.keystore import EC_P384
from vaultq_core.wire.entries import ReplaceableCa
from vaultq_core.wire.limits import FORMER_CAS
from vaultq_core.wire.statements import KemKey

_TRIES: Final = 5
_GENERATION: Final = re.compile(r" [0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a replacement has brought into force: by role the SHA-256 of the new CA; the log's first new index."""

    present: dict[ReplaceableCa, str]
    index: int
    time: int


class IssuingCaOffice:
    """What operators do with the issuing CAs. The desk's keystore makes the new keys and holds the old ones."""

    def __init__(self, desk: KeyDesk) -> None:
        self._desk = desk
        self._crls = CrlPublisher(desk)

    def states(self) -> tuple[CaState, ...]:
        """Return every CA of the three roles, present first."""
        return ca_states(self._desk)

    def replace(self, roles: Collection[ReplaceableCa] = ROLES) -> Replaced:
        """Put a new CA, with a new key, in the place of each role's present one.

        Certificates are renewed at their owners' next contact; the former CAs stay trusted until `close`. Raises
        KeyNotFound without the root's key, LimitExceeded for a role that was replaced too often, Conflict when
        somebody else does the same now; nothing has changed then.
        """
        cas = self._desk.authorities.present()
        self._require_room(cas, roles)
        root = issuer_of(self._desk.keystore, ROOT_CA, self._desk.authorities.hospital_root)
        made = tuple(self._made(role, cas, root) for role in ROLES if role in roles)
        for _ in range(_TRIES - 1):
            try:
                return self._commit(made)
            except Conflict:
                if self._desk.authorities.present().rows != cas.rows:
                    raise
        return self._commit(made)

    def close(self, sha256: str, *, end: bool = False) -> CaState:
        """End a former CA: what it issued counts no more, and its last list holds for good.

        `end`: also when it ends the newest certificate of somebody, who then has to enrol again. Closing what is
        closed signs the last list if it is missing. Raises NotFound, Conflict naming who has not renewed,
        KeyNotFound without the CA's key.
        """
        former = self._former(sha256)
        if former.is_open:
            self._desk.authorities.signing(former.row.role, former.certificate)
            state = next(each for each in self.states() if each.sha256 == sha256)
            if state.hanging and not end:
                raise Conflict(
                    f"not renewed yet, by {state.name}: {some(state.hanging)}",
                    remedy="They renew at their next contact with the vault. To end their certificates, add --end.",
                )
            self._desk.committer.commit(CloseCa(self._desk, former))
        self._crls.publish()
        return next(each for each in self.states() if each.sha256 == sha256)

    def _require_room(self, cas: Cas, roles: Collection[ReplaceableCa]) -> None:
        count = Counter(each.row.role for each in cas.former)
        for role in roles:
            if count[role] >= FORMER_CAS:
                raise LimitExceeded(f"the {role} CA was replaced {FORMER_CAS} times, which is the limit")

    def _made(self, role: ReplaceableCa, cas: Cas, root: Issuer) -> NewCa:
        desk, present = self._desk, cas.present[role]
        generation = 2 + sum(each.row.role == role for each in cas.former)
        name = f"{_GENERATION.sub('', subject_name(present))} {generation}"
        key = desk.keystore.signer(desk.keystore.create_key(f"{role}-ca", EC_P384))
        certificate = issue_issuing_ca(name, key.public_key(), root.certificate, root.key, desk.now())
        issuer = Issuer(certificate, key)
        return NewCa(role, cas.rows[role], issuer, signed_crl(issuer, (), 1, desk.now()))

    def _commit(self, made: Sequence[NewCa]) -> Replaced:
        servers = next((each.issuer for each in made if each.role == "servers"), None)
        statement = None if servers is None else self._statement(servers)
        committed = self._desk.committer.commit(ReplaceCas(self._desk, made, statement))
        present = {each.role: certificate_hash(each.issuer.certificate) for each in made}
        return Replaced(present, committed.receipts[0].index, committed.time)

    def _statement(self, servers: Issuer) -> PublishStatement:
        desk = self._desk
        with desk.registry.reading() as tx:
            newest: StatementRow = desk.registry.statements.newest(tx)
            kem = desk.registry.kem_keys.get(tx, newest.kem_key)
        public = KemKey(id=kem.id, public_key=kem.public_key)
        keys = desk.keys
        signed = make_statement(desk.vault, newest.version + 1, public, keys.log.public(), keys.pq, servers, desk.now())
        return PublishStatement(desk, signed, None, servers.certificate)

    def _former(self, sha256: str) -> Former:
        found = [each for each in self._desk.authorities.present().former if each.row.sha256 == sha256]
        if not found:
            raise NotFound("this is no former issuing CA", remedy="`vaultq-server issuing-cas status` shows them all.")
        return found[0]


def some(ids: Sequence[str]) -> str:
    """Return a few ids for a line, and how many more there are."""
    shown = 10
    return ", ".join(ids[:shown]) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")
