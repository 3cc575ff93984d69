"""Problem details (RFC 9457): how every listener says what went wrong, and what to do about it.

`type` is `urn:vaultq:problem:<code>`; `code` is the stable code of `vaultq_core.errors`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.limits import PROBLEM_BYTES

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:vaultq:problem:"

Text = Annotated[str, msgspec.Meta(max_length=2048)]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,63}\Z")]
Status = Annotated[int, msgspec.Meta(ge=400, le=599)]
WaitSeconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One refusal. Unknown members are ignored, as RFC 9457, 3.2 asks of a client.

    `title` says what kind of thing happened, `detail` what happened now, `remedy` what to do;
    `retry_after` is in seconds; `request_id` finds the server's log line.
    """

    type: Text
    title: Text
    status: Status
    detail: Text
    code: Code
    remedy: Text
    request_id: Text
    retry_after: WaitSeconds | None = None


def encode_problem(problem: Problem) -> bytes:
    """Return the JSON body."""
    return msgspec.json.encode(problem)


def decode_problem(body: bytes) -> Problem:
    """Return the problem that `body` holds.

    Raises LimitExceeded over PROBLEM_BYTES, before parsing; Malformed when it isn't one of ours (a
    proxy's page, another server's answer).
    """
    if len(body) > PROBLEM_BYTES:
        raise LimitExceeded(f"a problem has {len(body)} bytes; the limit is {PROBLEM_BYTES}")
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("the answer is not a problem document of VaultQ") from None
    if problem.type != TYPE_PREFIX + problem.code:
        raise Malformed("the problem's type and code differ")
    return problem
