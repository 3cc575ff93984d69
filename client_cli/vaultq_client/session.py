"""One doctor at one vault: the verified view of it, sealed questions, and the watch over its log."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

import msgspec

from vaultq_client.home import Home
from vaultq_client.identity import Identity
from vaultq_client.seen import Seen, load_seen, remember
from vaultq_client.tls import client_context
from vaultq_client.transport import Body, Transport
from vaultq_client.vault_view import VaultView, fetch_consistency, fetch_info, verify_vault
from vaultq_core.crypto.checkpoints import Checkpoint
from vaultq_core.crypto.fingerprints import sha256_hex, spki
from vaultq_core.crypto.receipts import LogPosition, verify_receipt
from vaultq_core.crypto.requests import AnswerKey, open_answer, seal_request
from vaultq_core.errors import NotVerified
from vaultq_core.wire import paths
from vaultq_core.wire.proof import decode_receipt
from vaultq_core.wire.sealed_request import Operation, Request

T = TypeVar("T", bound=msgspec.Struct)
Clock = Callable[[], dt.datetime]


def system_clock() -> dt.datetime:
    """Return the time, UTC."""
    return dt.datetime.now(dt.UTC)


class Session:
    """What the client's use cases share. Nothing is sent before the first use of `view`."""

    def __init__(self, home: Home, identity: Identity, now: Clock) -> None:
        self.home, self.identity, self.now = home, identity, now
        context = client_context(identity.anchors.hospital, identity.tls())
        self.transport = Transport(identity.records_address, context)

    @property
    def vault(self) -> str:
        """The vault's id."""
        return self.identity.anchors.vault

    @property
    def key(self) -> str:
        """SHA-256 over this doctor's ML-DSA-65 key, as grants name it."""
        return sha256_hex(spki(self.identity.keys.signing.mldsa65.public_key()))

    @property
    def has_spoken(self) -> bool:
        """Whether the vault was reached and verified."""
        return "view" in self.__dict__

    @cached_property
    def view(self) -> VaultView:
        """The vault, verified once a session. Raises NotVerified, CannotConnect."""
        lowest = load_seen(self.home, self.vault).statement_version
        info = fetch_info(self.transport)
        view = verify_vault(info, self.identity.anchors, at=self.now(), lowest_version=lowest)
        self.watch(view.checkpoint, statement_version=view.statement.version)
        return view

    def watch(self, checkpoint: Checkpoint, *, statement_version: int = 0) -> Seen:
        """Keep a verified checkpoint, proven to be of the log that was seen. Raises NotVerified: the log forked."""
        return remember(
            self.home,
            self.vault,
            checkpoint,
            lambda first, second: fetch_consistency(self.transport, first, second),
            statement_version=statement_version,
        )

    def verify_change(self, receipt: str) -> LogPosition:
        """Prove that a change is in the log and the log the one that was seen. Raises NotVerified."""
        position = verify_receipt(decode_receipt(receipt), self.view.statement.log)
        self.watch(position.checkpoint)
        return position

    def ask(self, operation: Operation, kind: type[T]) -> T:
        """Return the vault's answer to a sealed request. Raises NotVerified and what the vault says."""
        with self.ask_for_content(operation, kind) as (message, content):
            if any(content):
                raise NotVerified("the answer carries more than it should")
        return message

    @contextmanager
    def ask_for_content(self, operation: Operation, kind: type[T]) -> Iterator[tuple[T, Iterator[bytes]]]:
        """Yield the answer's message and its content, which is proven only when its iteration ends."""
        body, key = self._seal(operation)
        with self.transport.ask(paths.REQUESTS, Body.of(body, paths.REQUEST_TYPE)) as chunks:
            yield open_answer(key, chunks, kind)

    def close(self) -> None:
        """Close the connection."""
        self.transport.close()

    def _seal(self, operation: Operation) -> tuple[bytes, AnswerKey]:
        statement = self.view.statement
        request = Request(
            suite=statement.suite,
            vault=self.vault,
            doctor=self.identity.doctor,
            signing_certificate=self.identity.signing_certificate,
            time=int(self.now().timestamp()),
            nonce=secrets.token_bytes(32),
            answer_key=secrets.token_bytes(32),
            operation=operation,
        )
        body = seal_request(request, self.identity.keys.signing, statement)
        return body, AnswerKey(statement.suite, sha256_hex(body), request.answer_key)
