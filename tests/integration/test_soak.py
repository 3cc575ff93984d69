"""The soak in short: load, a logout, a token that is away, a killed worker. `make soak` runs it at length."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.soak import CLIENTS, soaked

RECORDS = 20 * CLIENTS


def test_nothing_acknowledged_is_lost_and_no_other_process_ends(tmp_path: Path) -> None:
    said: list[str] = []

    with soaked(tmp_path / "vault", RECORDS, rounds=1) as soak:
        outcome = soak.run(lambda _, what: said.append(what) if what else None)

    assert (outcome.uploads, outcome.reads, len(said)) == (RECORDS, RECORDS, 3)
    assert outcome.interrupted > 0
