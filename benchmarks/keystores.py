"""The second part of `make bench`: a vault on a SoftHSM token beside one on a key file; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec

from benchmarks.load import Sender, prepare, send_all
from tools.throwaway_doctors import enrol
from tools.throwaway_vault import KeystoreName, ThrowawayVault, command
from vaultq_client.client import Client
from vaultq_core.registry.patients import Patient
from vaultq_core.server.config import load_config
from vaultq_core.server.keyring import open_keyring
from vaultq_core.wire.sealed_request import Demographics

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
RESULT = HERE / "results" / "keystores.json"
CONNECTIONS = 8
DOCTORS = 4
ROUNDS = 3
SMALL = 4096
BATCH = 100  # patients added in one transaction


@dataclass(frozen=True, slots=True)
class Plan:
    """How many records are sent, and how many patients' keys are re-wrapped."""

    records: int
    patients: int


FULL = Plan(records=1000, patients=10_000)
QUICK = Plan(records=100, patients=1000)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result: the median on each keystore."""

    name: str
    softhsm: float
    file: float
    unit: str


class Subject:
    """A served vault, its doctors, and as many patients as the plan says."""

    def __init__(self, keystore: KeystoreName, plan: Plan, stack: ExitStack) -> None:
        directory = WORK / keystore
        directory.mkdir(mode=0o700)
        self._made = ThrowawayVault.create(directory, keystore=keystore)
        stack.callback(self._made.stop)
        self._made.start()
        self._clients = [
            enrol(self._made, f"Dr. {number}", directory / f"doctor-{number}") for number in range(DOCTORS)
        ]
        for client in self._clients:
            stack.callback(client.close)
        self._patients = [_add_patient(client) for client in self._clients]
        self._plan = plan
        _add_keys(self._made, self._clients[0].identity.doctor, plan.patients)

    def uploads_a_second(self) -> float:
        """Return how many records of 4 KiB are taken a second; each receipt is verified afterwards."""
        pairs = list(zip(self._clients, self._patients, strict=True))
        uploads = [prepare(*pairs[number % DOCTORS], SMALL) for number in range(self._plan.records)]
        with ExitStack() as stack:
            senders = [stack.enter_context(_sender(self._clients[each % DOCTORS])) for each in range(CONNECTIONS)]
            seconds, answers = send_all(senders, uploads)
        for upload, receipt in answers:
            upload.verify(receipt)
        return len(uploads) / seconds

    def rotation_seconds(self) -> float:
        """Return how long `rotate-master` takes while a client keeps uploading, each of whose uploads is taken."""
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool, _sender(self._clients[0]) as sender:
            uploading = pool.submit(self._upload_until, over, sender)
            try:
                seconds = self._rotate()
            finally:
                over.set()
            count, slowest = uploading.result()
        print(f"    {count} uploads meanwhile, none refused; the slowest took {slowest:.2f} s", flush=True)
        return seconds

    def _rotate(self) -> float:
        arguments = (command("vaultq-server"), "rotate-master", "--json", "--config", str(self._made.config))
        done = subprocess.run(arguments, check=True, capture_output=True, env=self._made.environment)
        said = json.loads(done.stdout)
        if said["patient_keys"] < self._plan.patients:
            raise RuntimeError(f"only {said['patient_keys']} keys were re-wrapped")
        return float(said["seconds"])

    def _upload_until(self, over: threading.Event, sender: Sender) -> tuple[int, float]:
        count, slowest = 0, 0.0
        while not over.is_set():
            upload = prepare(self._clients[0], self._patients[0], SMALL)
            began = time.perf_counter()
            upload.verify(sender.send(upload))
            count, slowest = count + 1, max(slowest, time.perf_counter() - began)
        return count, slowest


def main() -> int:
    """Measure, print the table, and write it to benchmarks/results/keystores.json."""
    parser = argparse.ArgumentParser(description=__doc__, prog="benchmarks/keystores.py")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see that it works; writes nothing")
    plan = QUICK if parser.parse_args().quick else FULL
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(mode=0o700)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, WORK)
        subjects = {name: Subject(name, plan, stack) for name in get_args(KeystoreName)}
        keys = f"rewrap_{plan.patients // 1000}k"
        rows = [
            _row("upload_4k", "uploads/s", {name: each.uploads_a_second for name, each in subjects.items()}),
            _row(keys, "s", {name: each.rotation_seconds for name, each in subjects.items()}),
        ]
    print(f"\n{'':18}{'SoftHSM':>10}{'file':>10}  unit")
    for row in rows:
        print(f"{row.name:18}{row.softhsm:>10.2f}{row.file:>10.2f}  {row.unit}")
    if plan is FULL:
        RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    return 0


def _row(name: str, unit: str, measures: dict[str, Callable[[], float]]) -> Row:
    found: dict[str, list[float]] = {keystore: [] for keystore in measures}
    for number in range(1, ROUNDS + 1):
        for keystore, measure in measures.items():
            found[keystore].append(measure())
            print(f"  {name}, round {number} of {ROUNDS}, {keystore}: {found[keystore][-1]:.2f} {unit}", flush=True)
    middle = {keystore: round(statistics.median(values), 2) for keystore, values in found.items()}
    return Row(name=name, softhsm=middle["pkcs11"], file=middle["file"], unit=unit)


@contextmanager
def _sender(client: Client) -> Iterator[Sender]:
    sender = Sender(client.identity.records_address, client.identity.anchors.hospital, client)
    try:
        yield sender
    finally:
        sender.close()


def _add_patient(client: Client) -> str:
    return client.add_patient(Demographics(name="Jonas Müller", birth_date=None, record_number=None)).patient


def _add_keys(made: ThrowawayVault, founder: str, count: int) -> None:
    """Add patients with a key each, as their rows would be, past the log: they are there to be re-wrapped."""
    with made.as_environment(), open_keyring(load_config(made.config), None) as keyring:
        for _ in range(count // BATCH):
            ids = [str(uuid.uuid4()) for _ in range(BATCH)]
            new = [(patient, keyring.patient_keys.make(patient)) for patient in ids]
            with keyring.registry.writing() as tx:
                for patient, key in new:
                    row = Patient(
                        id=patient,
                        created=int(time.time()),
                        founder=founder,
                        wrapped_key=bytes(key.wrapped),
                        key_version=key.wrapped.key_id.version,
                        recovery_key=key.sealed_for_recovery,
                    )
                    keyring.registry.patients.add(tx, row)


if __name__ == "__main__":
    sys.exit(main())
