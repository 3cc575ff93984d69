"""A token that goes away or is disturbed under a server, in real processes: no restart, and nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from tests.fixtures.exposed_vault import Answer, EnrolledDoctor, Vault, until
from tests.fixtures.forging import Forger
from tests.fixtures.saboteur import Act, Saboteur, sabotaged_vault
from vaultq_core.wire.sealed_request import RecordGet

ACTS: tuple[Act, ...] = ("logout", "close_sessions", "finalise", "initialise_again")


@pytest.fixture(scope="module")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vault, Saboteur]]:
    with sabotaged_vault(tmp_path_factory.mktemp("vault")) as both:
        yield both


@pytest.fixture(scope="module")
def vault(sabotaged: tuple[Vault, Saboteur]) -> Vault:
    """A vault on a token, with two workers in each of which a saboteur waits."""
    return sabotaged[0]


@pytest.fixture(scope="module")
def saboteur(sabotaged: tuple[Vault, Saboteur]) -> Saboteur:
    return sabotaged[1]


@pytest.fixture(autouse=True)
def _same_processes(vault: Vault) -> Iterator[None]:
    """No test of this page lets a process end."""
    before = (vault.pid, vault.workers())
    yield
    assert (vault.pid, vault.workers()) == before


@dataclass
class Asker:
    """A plain client that puts and reads without a break, and tries nothing twice."""

    vault: Vault
    doctor: EnrolledDoctor
    patient: str
    answers: list[Answer] = field(default_factory=list)
    stored: int = 0

    def ask_until(self, over: threading.Event) -> None:
        forger = Forger(self.vault, self.doctor)
        record = self.doctor.put(self.patient).record
        self.stored += 1
        while not over.is_set():
            put = forger.upload(forger.frame(forger.sign(forger.manifest(self.patient))))
            self.stored += put.status == 201
            self.answers += [put, forger.send(forger.request(RecordGet(record=record))[0])]

    def last_are_good(self) -> bool:
        return all(answer.status < 300 for answer in self.answers[-2:])


def require_whole(vault: Vault, asker: Asker) -> None:
    """Every row has its object and its entry of the log, and there is no other object or row."""
    listed = asker.doctor.client.records(asker.patient)  # verified, and without a gap
    assert len(listed) == asker.stored
    holdings = vault.holdings()
    rows = {record for (record,) in vault.rows("SELECT id FROM records")}
    assert {name.partition(".")[0] for name in holdings.objects} == rows
    assert (len(holdings.objects), holdings.pending) == (holdings.records, 0)
    with closing(asker.doctor.reopened()) as client:  # knows the log as it was
        assert len(client.records(asker.patient)) == asker.stored


def disturbed(vault: Vault, doctor: EnrolledDoctor, disturb: Callable[[Asker], None]) -> Asker:
    """Let a client ask all the time while `disturb` runs, and until it gets good answers again."""
    asker, over = Asker(vault, doctor, doctor.new_patient()), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asker.ask_until, over)
        try:
            until(lambda: len(asker.answers) > 4 or asking.done(), "the client asks")
            disturb(asker)
            count = len(asker.answers)
            until(lambda: (len(asker.answers) > count + 10 and asker.last_are_good()) or asking.done(), "all is well")
        finally:
            over.set()
        asking.result()
    require_whole(vault, asker)
    return asker


def refusals(asker: Asker) -> list[Answer]:
    return [answer for answer in asker.answers if answer.status >= 300]


def test_while_the_token_is_away_requests_get_503_and_later_ones_work(vault: Vault, ada: EnrolledDoctor) -> None:
    def take_away(asker: Asker) -> None:
        with vault.keystore_away():
            until(lambda: len(refusals(asker)) > 4, "somebody misses the token")

    asker = disturbed(vault, ada, take_away)

    for answer in refusals(asker):
        assert (answer.status, answer.code) == (503, "keystore-unavailable")
        assert answer.headers["retry-after"] == str(answer.problem.retry_after)
        assert answer.problem.remedy


@pytest.mark.parametrize("act", ACTS)
def test_whatever_another_does_to_the_module_costs_a_wait_at_most(
    vault: Vault, saboteur: Saboteur, ada: EnrolledDoctor, act: Act
) -> None:
    """Somebody else's C_Finalize comes when no call is in the module: PKCS#11 promises nothing otherwise."""
    if act in ("logout", "close_sessions"):
        asker = disturbed(vault, ada, lambda _: saboteur.act(act, vault.workers()))
    else:
        saboteur.act(act, vault.workers())
        asker = disturbed(vault, ada, lambda _: None)

    assert {(answer.status, answer.code) for answer in refusals(asker)} <= {(503, "keystore-unavailable")}


def test_certificates_are_issued_and_lists_signed_after_it(vault: Vault, saboteur: Saboteur) -> None:
    """The keys of the CAs are found again as well, and TLS in the same process is none the worse."""
    for act in ACTS:
        saboteur.act(act, vault.workers())
        gone = vault.enrol(f"Dr. After {act}")
        vault.admin.revoke(gone.id, "left")
