from __future__ import annotations

import msgspec
import pytest

from tests.fixtures.small_vault import problem
from vaultq_client.problems import error_of, one_line
from vaultq_core import errors

CODES = [
    (errors.NotPermitted, 403),
    (errors.UnknownSuite, 400),
    (errors.TooManyRequests, 429),
    (errors.RegistryUnavailable, 503),
    (errors.NotVerified, 422),
    (errors.WrongPassword, 401),
    (errors.RecordDamaged, 500),
]


@pytest.mark.parametrize(("kind", "status"), CODES)
def test_a_problem_becomes_the_error_of_its_code(kind: type[errors.VaultQError], status: int) -> None:
    error = error_of(status, msgspec.json.encode(problem(status, kind.code, "What happened.")))

    assert type(error) is kind
    assert str(error).startswith("What happened.")
    assert error.remedy == "Do this."


def test_the_wait_that_the_vault_asks_for_is_kept() -> None:
    error = error_of(429, msgspec.json.encode(problem(429, "too-many-requests", retry_after=7)))

    assert isinstance(error, errors.TooManyRequests)
    assert error.retry_after == 7


def test_a_code_of_http_alone_keeps_its_name_and_the_request_id() -> None:
    error = error_of(500, msgspec.json.encode(problem(500, "internal-error")))

    assert type(error) is errors.VaultQError
    assert "(internal-error)" in str(error)
    assert "[request r1]" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"{}", b"\xff", b"[" * 20_000])
def test_what_is_no_vaults_answer_says_so(body: bytes) -> None:
    error = error_of(502, body)

    assert isinstance(error, errors.CannotConnect)
    assert "HTTP 502" in str(error)


def test_a_problem_cannot_forge_the_terminal() -> None:
    error = error_of(404, msgspec.json.encode(problem(404, "not-found", "gone\x1b[2J\r\nvaultq: \u202efine")))

    assert str(error) == "gone [2J vaultq:  fine"
    assert one_line("a\u2028b") == "a b"
