"""`make bench`: VaultQ's uploads beside a plain sink's, in one run; benchmarks/README.md says how it is measured."""

from __future__ import annotations

import argparse
import os
import shutil
import ssl
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509

from benchmarks.load import MIB, Sender, Upload, prepare, send_all
from tools.memory import forget_peak, peak
from tools.throwaway_doctors import enrol
from tools.throwaway_vault import Process, ThrowawayVault
from vaultq_client.client import Client
from vaultq_core.crypto.revocation import load_crl
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.wire.api import VaultInfo
from vaultq_core.wire.sealed_request import Demographics

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
RESULT = HERE / "results" / "latest.json"
DOCTORS = 4
CONNECTIONS = 8  # two a doctor: within uploads_per_doctor, whichever worker they reach
ROUNDS = 3
WARM_UP = 40
SMALL = 4096

Measure = Callable[[], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent. Bytes and counts."""

    records: int
    large: int
    huge: int


FULL = Plan(records=1000, large=512 * MIB, huge=1024 * MIB)
QUICK = Plan(records=200, large=64 * MIB, huge=128 * MIB)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result; `plain` is the sink's value, `ratio` is value / plain."""

    name: str
    value: float
    unit: str
    plain: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Target:
    """A server that takes uploads: the vault or the sink. `proves` says whether its answers are receipts."""

    address: str
    root: x509.Certificate
    server: Process
    proves: bool

    def open(self, clients: Sequence[Client], connections: int) -> list[Sender]:
        """Return open connections, spread over the doctors."""
        return [Sender(self.address, self.root, clients[each % len(clients)]) for each in range(connections)]


class Bench:
    """A vault, a sink, doctors, and what is measured of them."""

    def __init__(self, plan: Plan, vault: Target, sink: Target, clients: Sequence[Client]) -> None:
        self._plan = plan
        self._targets = (vault, sink)
        self._clients = clients
        self._patients = [_add_patient(client) for client in clients]

    def rows(self) -> list[Row]:
        """Measure everything; tells on standard output what it does."""
        self._rate(self._small(WARM_UP))
        for target in self._targets:
            for worker in target.server.workers():
                forget_peak(worker)
        rates = self._rounds(lambda: self._rate(self._small(self._plan.records)), "4 KiB")
        rows = [_row("upload_4k", rates, "uploads/s")]
        rows.append(_row("worker_peak_4k", [self._peaks()], "MiB"))
        size = self._plan.large
        speeds = self._rounds(lambda: self._speed(size), _size(size))
        rows.append(_row(f"upload_{_short(size)}", speeds, "MB/s"))
        size = self._plan.huge
        self._say(f"{_size(size)}, once, for the peak of memory")
        self._speed(size)
        rows.append(_row(f"worker_peak_{_short(size)}", [self._peaks()], "MiB"))
        return rows

    def _rounds(self, measure: Measure, what: str) -> list[tuple[float, float]]:
        found = []
        for number in range(1, ROUNDS + 1):
            found.append(measure())
            self._say(f"{what}, round {number} of {ROUNDS}: {found[-1][0]:.1f} beside {found[-1][1]:.1f}")
        return found

    def _small(self, count: int) -> list[Upload]:
        pairs = list(zip(self._clients, self._patients, strict=True))
        return [prepare(*pairs[number % len(pairs)], SMALL) for number in range(count)]

    def _rate(self, uploads: list[Upload]) -> tuple[float, float]:
        """Return uploads a second, of the vault and of the sink, for the same frames."""
        vault, sink = (len(uploads) / self._seconds(target, uploads, CONNECTIONS) for target in self._targets)
        return vault, sink

    def _speed(self, size: int) -> tuple[float, float]:
        """Return MB/s of one upload, of the vault and of the sink, for the same frame."""
        place = WORK / "frame"
        upload = prepare(self._clients[0], self._patients[0], size, place)
        os.sync()  # what was just written must not be written back while it is measured
        vault, sink = (size / 1e6 / self._seconds(target, [upload], 1) for target in self._targets)
        place.unlink()
        for left in (WORK / "sink").iterdir():
            left.unlink()
        return vault, sink

    def _seconds(self, target: Target, uploads: list[Upload], connections: int) -> float:
        senders = target.open(self._clients, connections)
        try:
            seconds, answers = send_all(senders, uploads)
        finally:
            for sender in senders:
                sender.close()
        if target.proves:
            for upload, receipt in answers:
                upload.verify(receipt)
        return seconds

    def _peaks(self) -> tuple[float, float]:
        vault, sink = (max(map(peak, target.server.workers())) / MIB for target in self._targets)
        return vault, sink

    @staticmethod
    def _say(what: str) -> None:
        print(f"  {what}", flush=True)


def main() -> int:
    """Run the benchmarks, print the table, and write it to benchmarks/results/latest.json."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see that it works; writes nothing")
    quick = parser.parse_args().quick
    print(f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}, {os.cpu_count()} cores for servers and clients")
    with ExitStack() as stack:
        rows = _bench(QUICK if quick else FULL, stack).rows()
    _print(rows)
    if not quick:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    return 0


def _bench(plan: Plan, stack: ExitStack) -> Bench:
    shutil.rmtree(WORK, ignore_errors=True)
    for directory in (WORK, WORK / "vault", WORK / "sink"):
        directory.mkdir(mode=0o700)
    stack.callback(shutil.rmtree, WORK)
    made = ThrowawayVault.create(WORK / "vault")
    stack.callback(made.stop)
    server = made.start()
    clients = [enrol(made, f"Dr. Number {number}", WORK / f"doctor-{number}") for number in range(DOCTORS)]
    for client in clients:
        stack.callback(client.close)
    view = clients[0].session.view
    vault = Target(clients[0].identity.records_address, clients[0].identity.anchors.hospital, server, proves=True)
    return Bench(plan, vault, stack.enter_context(_sink(view.info)), clients)


@contextmanager
def _sink(info: VaultInfo) -> Iterator[Target]:
    """Serve a sink for the vault's doctors, under their CA and its CRL."""
    authority = load_certificate(info.issuing.doctors)
    (crl,) = (each for each in info.crls if load_crl(each).issuer == authority.subject)
    files = {"doctors-ca": info.issuing.doctors, "crl": crl}
    options = ["--directory", str(WORK / "sink"), "--root-out", str(WORK / "sink-root")]
    for name, data in files.items():
        (WORK / name).write_bytes(data)
        options += [f"--{name}", str(WORK / name)]
    server = Process((sys.executable, "-m", "benchmarks.sink", *options), WORK / "sink.log")
    try:
        address = server.lines[0].rpartition("https://")[2].replace("127.0.0.1", "localhost")
        yield Target(address, load_certificate((WORK / "sink-root").read_bytes()), server, proves=False)
    finally:
        server.stop()


def _add_patient(client: Client) -> str:
    return client.add_patient(Demographics(name="Jonas Müller", birth_date=None, record_number=None)).patient


def _row(name: str, found: Sequence[tuple[float, float]], unit: str) -> Row:
    value, plain = (statistics.median(column) for column in zip(*found, strict=True))
    return Row(name=name, value=round(value, 1), unit=unit, plain=round(plain, 1), ratio=round(value / plain, 3))


def _print(rows: Sequence[Row]) -> None:
    print(f"\n{'':18}{'VaultQ':>10}{'plain sink':>12}  {'unit':<10}{'ratio':>7}")
    for row in rows:
        print(f"{row.name:18}{row.value:>10.1f}{row.plain:>12.1f}  {row.unit:<10}{row.ratio:>7.2f}")


def _short(size: int) -> str:
    return f"{size // 2**30}g" if size % 2**30 == 0 else f"{size // MIB}m"


def _size(size: int) -> str:
    return f"{size // MIB} MiB"


if __name__ == "__main__":
    sys.exit(main())
