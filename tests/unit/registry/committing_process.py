"""A process that commits records until it has committed COUNT of them or is killed.

Run as `python committing_process.py DATABASE COUNT`; it prints each receipt's index and record once acknowledged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.unit.registry.example import Stored, ledger_of, opened_registry
from vaultq_core.registry.committer import Committer


def main(path: Path, count: int) -> None:
    registry = opened_registry(path)
    with Committer(ledger_of(registry)) as committer:
        for _ in range(count):
            unit = Stored(registry)
            unit.announce()
            committed = committer.commit(unit)
            print(committed.receipts[0].index, unit.record, flush=True)  # noqa: T201
    registry.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
