"""Promise 6: what was acknowledged is durable, what was not leaves nothing that counts, whenever a process is killed.

Three moments: while a record's bytes come, when the last of them has left the client (so that the vault commits), and
when a colleague's receipt has just come. What exactly the vault is doing then differs from kill to kill.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault, until
from vaultq_client.manifests import RecordDetails
from vaultq_client.results import ListedRecord, StoredRecord
from vaultq_client.source_file import no_progress
from vaultq_client.uploads import send
from vaultq_core.errors import Unavailable

Moment = Literal["while bytes come", "when the last byte has left", "when a colleague has a receipt"]
Kill = Callable[[Vault, int], None]
MOMENTS: tuple[Moment, ...] = ("while bytes come", "when the last byte has left", "when a colleague has a receipt")
LARGE = 1_500_000  # bytes; some chunks of the client
RECEIVED = -1  # what progress is told, in the place of bytes, once a receipt is there
KILLS_UNTIL_RESTART = 4  # one more within a minute is a crash loop, and ends the server

counts = pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.chaos, pytest.mark.timeout(3000)])])


@dataclass
class Ward:
    """A doctor who puts one record after the other, and the receipts that came."""

    doctor: EnrolledDoctor
    patient: str
    receipts: dict[str, StoredRecord] = field(default_factory=dict)
    puts: int = 0
    interrupted: int = 0

    def put_until(self, over: threading.Event, size: int, progress: Callable[[int, int], None]) -> None:
        """Put until `over`, or until the vault is gone; what was in the way stays in the outbox."""
        while not over.is_set():
            self.puts += 1
            content = os.urandom(size)
            path = self.doctor.file(content, f"{self.puts}.bin")
            try:
                stored = self.doctor.client.put(path, RecordDetails(self.patient, title=path.name), sending=progress)
            except Unavailable:
                self.interrupted += 1
                continue
            self.receipts[stored.record] = stored
            if size < LARGE:
                progress(RECEIVED, RECEIVED)

    def require_nothing_lost(self) -> None:
        """Every receipt's record is listed and reads; whatever else is listed waits in the outbox for its receipt."""
        listed = self.listed()
        for record, stored in self.receipts.items():
            assert listed[record].index == stored.index
        outbox = self.doctor.client.outbox
        assert listed.keys() - self.receipts.keys() <= set(outbox.records())
        entries = {record: outbox.get(record) for record in outbox.records()}
        self._resume(listed)
        assert not outbox.records()
        for entry in entries.values():
            again = [send(self.doctor.client.session, entry, no_progress) for _ in range(2)]
            assert again[0] == again[1]
        assert self.listed().keys() == self.receipts.keys()

    def require_all_readable(self) -> None:
        """Every record reads back as it was put."""
        listed = self.listed()
        for record in self.receipts:
            assert self.doctor.get(record) == (self.doctor.home / "files" / listed[record].title).read_bytes()

    def listed(self) -> dict[str, ListedRecord]:
        """Return what the vault lists, each verified; the client refuses a list with a gap."""
        rows = self.doctor.client.records(self.patient)
        assert len({row.record for row in rows}) == len(rows)
        return {row.record: row for row in rows}

    def _resume(self, listed: dict[str, ListedRecord]) -> None:
        for resumed in self.doctor.client.resume():
            assert resumed.stored is not None, resumed
            if resumed.record in listed:  # it was committed, only the answer was lost
                assert resumed.stored.index == listed[resumed.record].index
            self.receipts[resumed.record] = resumed.stored


def kill_everything(vault: Vault, _number: int) -> None:
    vault.kill()


def kill_one_worker(vault: Vault, number: int) -> None:
    workers = vault.workers()
    os.kill(workers[number % len(workers)], signal.SIGKILL)


def kill_in_the_middle(vault: Vault, wards: tuple[Ward, Ward], number: int, kill: Kill) -> None:
    """Let both doctors put, kill once at the moment that is due, and return when neither puts any more."""
    once, over = threading.Lock(), threading.Event()

    def strike() -> None:
        if once.acquire(blocking=False):
            try:
                kill(vault, number)
            finally:
                over.set()

    def due(moment: Moment) -> Callable[[int, int], None]:
        tests: dict[Moment, Callable[[int, int], bool]] = {
            "while bytes come": lambda done, total: 0 < done < total,
            "when the last byte has left": lambda done, total: 0 < done == total >= LARGE,
            "when a colleague has a receipt": lambda done, _total: done == RECEIVED,
        }
        return lambda done, total: strike() if tests[moment](done, total) else None

    progress = due(MOMENTS[number % len(MOMENTS)])
    large, small = wards
    threads = [
        threading.Thread(target=large.put_until, args=(over, LARGE, progress)),
        threading.Thread(target=small.put_until, args=(over, 4096, progress)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    assert over.is_set()


@pytest.fixture(scope="module")
def wards(vault: Vault) -> tuple[Ward, Ward]:
    large, small = vault.enrol("Dr. Ada Lovelace"), vault.enrol("Dr. Robert Koch")
    return Ward(large, large.new_patient()), Ward(small, small.new_patient())


@counts
def test_killing_the_whole_server_loses_nothing_that_has_a_receipt(
    vault: Vault, wards: tuple[Ward, Ward], kills: int
) -> None:
    for number in range(kills):
        kill_in_the_middle(vault, wards, number, kill_everything)
        vault.start()
        for ward in wards:
            ward.require_nothing_lost()
    assert sum(ward.interrupted for ward in wards) > 0
    for ward in wards:
        ward.require_all_readable()


@counts
def test_killing_a_worker_loses_nothing_that_has_a_receipt(vault: Vault, wards: tuple[Ward, Ward], kills: int) -> None:
    vault.restart()
    for number in range(kills):
        if number and number % KILLS_UNTIL_RESTART == 0:
            vault.restart()
        kill_in_the_middle(vault, wards, number, kill_one_worker)
        for ward in wards:
            ward.require_nothing_lost()
        until(lambda: len(vault.workers()) == 2, "the supervisor replaces the worker")
    for ward in wards:
        ward.require_all_readable()
