"""`make soak`: four clients at a vault on a SoftHSM token for long, while token and workers are disturbed.

Ends with the line `soak: ok`, or says what was lost or ended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.fixtures.soak import CLIENTS, WORKERS, Outcome, soaked
from tools.throwaway_vault import ServerFailed

LINE_EVERY = 0.05  # of the whole, where no terminal shows a bar


def main() -> int:
    """Run the soak; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog="make soak")
    parser.add_argument("--records", type=int, default=10_000, help="how many are put and read (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="how often each disturbance happens")
    given = parser.parse_args()
    records = max(given.records // CLIENTS, 1) * CLIENTS
    print(f"{records} records, each put and read, by {CLIENTS} clients at {WORKERS} workers; keys in a SoftHSM token")
    with tempfile.TemporaryDirectory(prefix="vaultq-soak-") as place:
        try:
            outcome = _run(Path(place) / "vault", records, given.rounds)
        except (AssertionError, ServerFailed) as error:
            log = Path(place) / "vault" / "server.log"
            kept = log.read_text(encoding="utf-8")[-4000:] if log.exists() else ""
            print(f"{kept}\nsoak: failed: {error}", file=sys.stderr)
            return 1
    print(
        f"{outcome.uploads} uploads and {outcome.reads} reads in {outcome.seconds:.0f} s; {outcome.disturbances} "
        f"disturbances cost {outcome.interrupted} tries that were made again; nothing was lost\nsoak: ok"
    )
    return 0


def _run(directory: Path, records: int, rounds: int) -> Outcome:
    columns = (TextColumn("soak"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with soaked(directory, records, rounds) as soak, Progress(*columns) as bar:
        task, shown = bar.add_task("soak", total=2 * records), 0.0

        def told(done: int, what: str) -> None:
            nonlocal shown
            bar.update(task, completed=done)
            if what:
                bar.console.print(f"{done:>7}  {what}")
            elif not bar.console.is_terminal and done >= shown:
                shown = done + LINE_EVERY * 2 * records
                print(f"{done:>7} of {2 * records}", flush=True)

        return soak.run(told)


if __name__ == "__main__":
    sys.exit(main())
