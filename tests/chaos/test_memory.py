"""A record is never held in memory as a whole: a large one takes no process more than 64 MiB above a small one."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.exposed_vault import EnrolledDoctor, Vault
from tools.memory import forget_peak, peak

MIB = 2**20
GIB = 2**30
SMALL = 4096
ALLOWED = 64 * MIB

sizes = pytest.mark.parametrize(
    "large", [256 * MIB, pytest.param(GIB, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]
)


@pytest.fixture(scope="module")
def ada(vault: Vault) -> EnrolledDoctor:
    return vault.enrol("Dr. Ada Lovelace")


def file_of(size: int, path: Path) -> Path:
    """Write a file whose every MiB is another."""
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(16) * (MIB // 16))
        file.write(os.urandom(size % MIB))
    return path


def transfer(ada: EnrolledDoctor, patient: str, file: Path) -> int:
    """Put a file and get it back in a process of its own; return that process's peak."""
    destination = file.with_suffix(".back")
    arguments = (str(ada.home), str(file), patient, str(destination))
    done = subprocess.run(
        (sys.executable, "-m", "tests.fixtures.one_transfer", *arguments), capture_output=True, text=True, check=True
    )
    assert filecmp.cmp(file, destination, shallow=False)
    destination.unlink()
    return int(json.loads(done.stdout)["peak"])


@sizes
def test_a_large_record_takes_no_more_than_64_mib_above_a_small_one_up_and_down(
    vault: Vault, ada: EnrolledDoctor, tmp_path: Path, large: int
) -> None:
    patient = ada.new_patient()
    processes = [vault.pid, *vault.workers()]
    for pid in processes:
        forget_peak(pid)
    small_client = transfer(ada, patient, file_of(SMALL, tmp_path / "small"))
    small = {pid: peak(pid) for pid in processes}

    large_client = transfer(ada, patient, file_of(large, tmp_path / "large"))

    more = {pid: peak(pid) - small[pid] for pid in processes} | {0: large_client - small_client}
    print({pid: f"{bytes_ / MIB:.1f} MiB" for pid, bytes_ in more.items()})  # noqa: T201 - shown when it fails
    assert max(more.values()) <= ALLOWED, more
