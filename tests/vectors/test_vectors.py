from __future__ import annotations

import pytest

from tests.vectors.files import Case
from tests.vectors.verifiers import CASES, FILES, VERIFIERS
from vaultq_core.errors import VaultQError

ALL = [pytest.param(name, case, id=f"{name}/{case['name']}") for name in VERIFIERS for case in FILES[name]["cases"]]
RESULTS = ("content_sha256", "doubtful", "index", "indices", "revoked", "role", "time", "words")


def outcome_of(name: str, case: Case) -> Case:
    try:
        result: Case = VERIFIERS[name](case)
    except VaultQError as error:
        step = getattr(error, "step", None)
        return {"expect": error.code} | ({} if step is None else {"step": step})
    return {"expect": "ok"} | {key: value for key, value in result.items() if key in case}


@pytest.mark.parametrize(("name", "case"), ALL)
def test_the_vector_is_accepted_or_refused_at_its_step(name: str, case: Case) -> None:
    expected = {key: case[key] for key in ("expect", "step", *RESULTS) if key in case}
    assert outcome_of(name, case) == expected


def test_every_file_has_a_good_vector_and_more_bad_ones() -> None:
    for name, cases in CASES.items():
        good = [case for case in cases.values() if case["expect"] == "ok"]
        assert good, name
        assert len(cases) > 2 * len(good), name
