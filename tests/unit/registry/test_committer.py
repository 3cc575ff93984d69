"""The committer under real load: threads, processes, and processes that are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from tests.unit.registry.example import LOG_SIGNER, PATIENT, Calls, Provisioned, Stored, ledger_of, opened_registry
from vaultq_core.crypto.checkpoints import verify_checkpoint
from vaultq_core.crypto.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from vaultq_core.crypto.receipts import leaf_data, verify_receipt
from vaultq_core.errors import ConfigInvalid, Conflict, RegistryUnavailable
from vaultq_core.registry.commit import Committed, Ledger, Turn
from vaultq_core.registry.committer import Committer
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.tables.log import log_entries
from vaultq_core.wire.entries import LogEntry

ROOT = Path(__file__).parents[3]


@pytest.fixture
def committer(ledger: Ledger) -> Iterator[Committer]:
    with Committer(ledger) as running:
        yield running


class Holding:
    """A unit that stays in its commit, with the head of the log locked, until it is let go."""

    keeps_receipt = False

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def apply(self, _tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        self.entered.set()
        assert self.let_go.wait(30)
        return []


def require_consistent(registry: Registry) -> int:
    """Rebuild the log from its entries and compare all that the registry says of it; return its size."""
    frontier = Frontier()
    with registry.reading() as tx:
        head = registry.log.head(tx)
        rows = tx.execute(select(log_entries).order_by(log_entries.c.log_index)).all()
        assert [row.log_index for row in rows] == list(range(head.size))
        assert [row.time for row in rows] == sorted(row.time for row in rows)
        roots = [frontier.root()]
        for row in rows:
            frontier, _ = frontier.append(leaf_hash(leaf_data(row.entry, row.salt)))
            roots.append(frontier.root())
        assert head.root == frontier.root()
        assert head.frontier == frontier.encode()
        assert not head.size or verify_checkpoint(head.note, LOG_SIGNER.public()).root == head.root
        for row in rows[:: 1 + head.size // 100]:
            path = registry.log.inclusion_proof(tx, row.log_index, head.size)
            verify_inclusion(leaf_hash(leaf_data(row.entry, row.salt)), row.log_index, head.size, path, head.root)
            proof = registry.log.consistency_proof(tx, row.log_index, head.size)
            verify_consistency(row.log_index, roots[row.log_index], head.size, head.root, proof)
    return head.size


def process(database: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.registry.committing_process", str(database), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def acknowledged(line: str) -> tuple[int, str]:
    index, record = line.split()
    return int(index), record


def test_threads_share_one_log_without_gaps(registry: Registry, committer: Committer) -> None:
    def store(_number: int) -> Committed:
        unit = Stored(registry)
        unit.announce()
        return committer.commit(unit)

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(store, range(64)))

    receipts = [receipt for each in done for receipt in each.receipts]
    assert sorted(receipt.index for receipt in receipts) == list(range(64))
    assert all(verify_receipt(receipt, LOG_SIGNER.public()) for receipt in receipts)
    assert require_consistent(registry) == 64


def test_units_that_arrive_while_a_commit_runs_share_the_next_checkpoint(committer: Committer) -> None:
    holding = Holding()
    held = committer.submit(holding)
    assert holding.entered.wait(30)
    futures = [committer.submit(Provisioned()) for _ in range(20)]
    holding.let_go.set()

    checkpoints = {future.result(30).receipts[0].checkpoint for future in futures}

    assert len(checkpoints) == 1
    assert held.result(30).receipts == ()


def test_a_failing_unit_answers_its_own_submitter_alone(committer: Committer) -> None:
    def fails(_tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        raise Conflict("replaced before")

    failing, passing = committer.submit(Calls(fails)), committer.submit(Provisioned())

    assert len(passing.result(30).receipts) == 1
    with pytest.raises(Conflict, match="replaced before"):
        failing.result(30)


def test_closing_commits_what_waits_and_takes_nothing_more(registry: Registry, ledger: Ledger) -> None:
    committer = Committer(ledger).start()
    futures = [committer.submit(Provisioned()) for _ in range(300)]

    committer.close()
    committer.close()

    assert {future.done() for future in futures} == {True}
    assert require_consistent(registry) == 300
    with pytest.raises(RegistryUnavailable, match="stopping"):
        committer.submit(Provisioned())


def test_a_full_queue_is_refused_at_once(ledger: Ledger) -> None:
    holding = Holding()
    futures: list[Future[Committed]] = []
    with Committer(ledger, queued_units=4) as committer:
        futures.append(committer.submit(holding))
        assert holding.entered.wait(30)
        futures += [committer.submit(Provisioned()) for _ in range(4)]
        with pytest.raises(RegistryUnavailable, match="too many"):
            committer.submit(Provisioned())
        holding.let_go.set()

    assert all(future.result(30) for future in futures)


def test_a_cancelled_unit_harms_no_other(registry: Registry, committer: Committer) -> None:
    holding = Holding()
    committer.submit(holding)
    assert holding.entered.wait(30)
    cancelled, other = committer.submit(Provisioned()), committer.submit(Provisioned())
    cancelled.cancel()
    holding.let_go.set()

    assert other.result(30).receipts
    assert require_consistent(registry) in (1, 2)


def test_a_committer_does_not_start_with_a_clock_behind_the_log(registry: Registry, ledger: Ledger) -> None:
    ledger.commit([Provisioned()])

    with pytest.raises(ConfigInvalid, match="behind"):
        Committer(ledger_of(registry, lambda: 1_700_000_000)).start()


def test_four_processes_share_one_log_without_gaps(registry: Registry, database: Path) -> None:
    processes = [process(database, 50) for _ in range(4)]

    lines = [line for each in processes for line in each.communicate(timeout=90)[0].splitlines()]

    assert [each.returncode for each in processes] == [0] * 4
    assert sorted(acknowledged(line)[0] for line in lines) == list(range(200))
    assert require_consistent(registry) == 200
    with registry.reading() as tx:
        assert [row.counter for row in registry.records.of_patient(tx, PATIENT, limit=500)] == list(range(1, 201))


def test_kill_9_in_the_middle_of_commits_loses_nothing_that_was_acknowledged(
    registry: Registry, database: Path
) -> None:
    known: list[tuple[int, str]] = []
    for round_ in range(3):
        processes = [process(database, 10_000) for _ in range(2)]
        for each in processes:
            assert each.stdout is not None
            known += [acknowledged(each.stdout.readline()) for _ in range(3 + round_ * 5)]
        for each in processes:
            each.kill()
        for each in processes:
            known += [
                acknowledged(line) for line in each.communicate()[0].splitlines(keepends=True) if line[-1] == "\n"
            ]

        reopened = opened_registry(database)
        size = require_consistent(reopened)
        with reopened.reading() as tx:
            for index, record in known:
                row = reopened.records.get(tx, record)
                receipt = reopened.log.receipt(tx, index)
                assert (row.log_index, receipt.index) == (index, index)
                verify_receipt(receipt, LOG_SIGNER.public())
            assert reopened.records.count(tx) == size
        reopened.close()

    unit = Stored(registry)
    unit.announce()
    assert len(ledger_of(registry).commit([unit])) == 1


def test_every_future_is_answered_when_the_database_goes_away(registry: Registry, database: Path) -> None:
    with Committer(ledger_of(registry)) as committer:
        registry.close()
        database.write_bytes(b"this is no database" * 1000)
        futures = [committer.submit(Provisioned()) for _ in range(5)]
        done, _ = wait(futures, 60)
        assert len(done) == 5
        for each in futures:
            with pytest.raises(RegistryUnavailable):
                each.result()
