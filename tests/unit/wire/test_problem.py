from __future__ import annotations

import json

import pytest

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.limits import PROBLEM_BYTES
from vaultq_core.wire.problem import Problem, decode_problem, encode_problem

PROBLEM = Problem(
    type="urn:vaultq:problem:conflict",
    title="The id is taken.",
    status=409,
    detail="record r1 exists",
    code="conflict",
    remedy="Look again.",
    request_id="0123456789abcdef",
)


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(encode_problem(PROBLEM)), **members}).encode()


def test_a_problem_comes_back_as_it_was() -> None:
    assert decode_problem(encode_problem(PROBLEM)) == PROBLEM


def test_members_of_a_later_version_are_ignored() -> None:
    assert decode_problem(changed(instance="/x")) == PROBLEM


def test_what_is_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(LimitExceeded):
        decode_problem(b" " * (PROBLEM_BYTES + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad Gateway</html>",
        b"[]",
        b"\xff",
        changed(code="not-found"),
        changed(code="Conflict\x1b[31m"),
        changed(code="conflict\n", type="urn:vaultq:problem:conflict\n"),
        changed(status=200),
        changed(status="409"),
        changed(retry_after=-1),
        changed(detail="x" * 2049),
    ],
)
def test_what_is_no_problem_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_problem(body)
