from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vaultq_core.errors import KeystoreError, WrongPassphrase
from vaultq_core.server.supervisor import GIVEN_UP

ROOT = Path(__file__).parents[3]
SECONDS = 30


class Program:
    """A running supervisor with toy workers, and what it has said so far."""

    def __init__(self, behaviour: str, workers: int, forgotten: Path) -> None:
        command = [sys.executable, "-m", "tests.fixtures.supervised", behaviour, str(workers)]
        pipe, environment = subprocess.PIPE, os.environ | {"FORGOTTEN": str(forgotten)}
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        self.forgotten = forgotten
        self.said: list[str] = []
        self._rest = b""

    def until(self, *words: str) -> str:
        """Return the first line that begins with each of `words`; fail when none comes."""
        assert self.process.stdout is not None
        while True:
            for line in self.said:
                if line.split()[: len(words)] == list(words):
                    self.said.remove(line)
                    return line
            ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
            assert ready, f"no {words}"
            part = os.read(self.process.stdout.fileno(), 65536)
            assert part, f"ended without {words}"
            *lines, self._rest = (self._rest + part).split(b"\n")
            self.said += [line.decode() for line in lines]

    def pid_of_worker(self, index: int) -> int:
        return int(self.until("worker", str(index)).split()[2])

    def reload(self, brings: str) -> None:
        """Send SIGHUP; the configuration then says `brings`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{brings}\n".encode())
        self.process.stdin.flush()
        self.process.send_signal(signal.SIGHUP)

    def logs(self, event: str) -> str:
        """Return the next line of the log that tells of `event`; fail when none comes."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline().decode():
            if f'"event": "{event}"' in line:
                return line
        raise AssertionError(f"ended without {event}")

    def ends(self) -> tuple[int, str]:
        """Return the exit status and what stands in the log."""
        _, log = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, log.decode()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def start(behaviour: str, workers: int = 2) -> Program:
        programs.append(Program(behaviour, workers, tmp_path / "forgotten"))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_drains_every_worker_and_ends_well(start: Start, number: signal.Signals) -> None:
    program = start("serve")
    program.until("READY")

    program.process.send_signal(number)

    program.until("drained", "0")
    program.until("drained", "1")
    assert program.ends()[0] == 0


def test_a_second_stop_ends_at_once(start: Start) -> None:
    program = start("stubborn")
    program.until("READY")
    program.process.send_signal(signal.SIGTERM)
    program.until("stopping", "0")

    program.process.send_signal(signal.SIGTERM)

    assert program.ends()[0] != 0


def test_a_reload_replaces_workers_one_by_one_and_only_by_ready_ones(start: Start) -> None:
    program = start("serve")
    first = [program.pid_of_worker(index) for index in (0, 1)]
    program.until("READY")

    program.reload("serve")
    program.logs("reloaded")

    seen = [program.until("worker", "0"), program.until("retired"), program.until("worker", "1")]
    assert not {int(line.split()[2]) for line in (seen[0], seen[2])} & set(first)
    program.until("retired")


@pytest.mark.parametrize("brings", ["config", "refused", "wrong_pin", "broken"])
def test_a_reload_that_cannot_be_is_one_line_and_the_workers_go_on(start: Start, brings: str) -> None:
    program = start("serve")
    program.until("READY")

    program.reload(brings)

    assert program.logs("reload-refused")
    program.process.send_signal(signal.SIGTERM)
    program.until("drained", "0")
    program.until("drained", "1")
    assert not [line for line in program.said if line.startswith("retired")]
    assert program.ends()[0] == 0


def test_after_a_refused_reload_a_good_one_works(start: Start) -> None:
    program = start("serve", 1)
    program.until("READY")
    program.reload("wrong_pin")
    program.logs("reload-refused")

    program.reload("serve")

    program.logs("reloaded")
    program.until("retired", "0")


def test_a_wrong_pin_is_tried_once_and_ends_the_start(start: Start) -> None:
    program = start("wrong_pin", 4)

    program.until("tried")
    said, log = program.process.communicate(timeout=SECONDS)
    assert (program.process.returncode, said) == (WrongPassphrase.exit_status, b"")
    assert log.decode().splitlines()[0] == "vaultq-server: the PIN is wrong [wrong-passphrase]"


def test_a_pin_that_is_refused_later_is_not_tried_again_until_a_reload(start: Start) -> None:
    program = start("second_pin")
    first, second = (program.pid_of_worker(index) for index in (0, 1))
    program.until("READY")
    program.forgotten.touch()

    os.kill(first, signal.SIGKILL)
    assert '"workers": 1' in program.logs("worker-not-replaced")
    program.until("tried")

    program.reload("serve")
    program.logs("reloaded")
    assert second not in {program.pid_of_worker(0), program.pid_of_worker(1)}
    assert "tried" not in program.said


def test_a_worker_that_dies_while_the_token_is_away_comes_back_with_it(start: Start) -> None:
    program = start("token_away")
    first = program.pid_of_worker(0)
    program.until("READY")
    program.forgotten.touch()
    os.kill(first, signal.SIGKILL)
    for _ in range(2):
        assert '"code": "keystore-unavailable"' in program.logs("worker-cannot-start")

    program.forgotten.unlink()

    assert program.pid_of_worker(0) != first
    program.process.send_signal(signal.SIGTERM)
    assert program.ends()[0] == 0


def test_a_server_whose_token_is_away_and_that_is_stopped_stops(start: Start) -> None:
    program = start("token_away", 1)
    first = program.pid_of_worker(0)
    program.until("READY")
    program.forgotten.touch()
    os.kill(first, signal.SIGKILL)
    program.logs("worker-cannot-start")

    program.process.send_signal(signal.SIGTERM)

    assert program.ends()[0] == 0


def test_a_pin_that_no_worker_has_any_more_ends_the_server(start: Start) -> None:
    program = start("second_pin", 1)
    first = program.pid_of_worker(0)
    program.until("READY")
    program.forgotten.touch()

    os.kill(first, signal.SIGKILL)

    assert program.ends()[0] == WrongPassphrase.exit_status


def test_a_killed_worker_comes_back(start: Start) -> None:
    program = start("serve")
    first = program.pid_of_worker(1)
    program.until("READY")

    os.kill(first, signal.SIGKILL)

    assert program.pid_of_worker(1) != first


def test_a_crash_loop_gives_up_and_says_so(start: Start) -> None:
    status, log = start("crashing", 1).ends()

    assert status == GIVEN_UP
    assert "crash-loop" in log


def test_workers_that_cannot_start_end_the_whole_with_one_reason_and_its_remedy(start: Start) -> None:
    status, log = start("refused", 2).ends()

    assert status == KeystoreError.exit_status
    assert log.splitlines() == [
        "vaultq-server: the keystore is of another vault [keystore-error]",
        f"  {KeystoreError.advice}",
    ]
    assert "traceback" not in log


def test_an_unexpected_failure_at_the_start_is_logged_with_its_place_but_not_its_words(start: Start) -> None:
    status, log = start("broken", 1).ends()

    assert status != 0
    assert "in broken" in log
    assert "something unexpected" not in log


def test_workers_stop_when_their_parent_is_killed(start: Start) -> None:
    program = start("serve")
    program.until("READY")

    program.process.kill()

    program.until("drained", "0")
    program.until("drained", "1")
