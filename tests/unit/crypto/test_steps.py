from __future__ import annotations

import pytest

from vaultq_core.crypto.steps import step
from vaultq_core.errors import CannotVerify, LimitExceeded, Malformed, NotVerified


@pytest.mark.parametrize("error", [Malformed("bad"), NotVerified("bad"), NotVerified("bad", step=9)])
def test_what_is_refused_inside_a_step_has_its_number(error: Exception) -> None:
    with pytest.raises(NotVerified, match="step 3: the leaf: ") as caught, step(3, "the leaf"):
        raise error
    assert caught.value.step == 3


def test_what_could_not_be_checked_stays_so() -> None:
    with pytest.raises(CannotVerify) as caught, step(2):
        raise CannotVerify("no key")
    assert caught.value.step == 2


def test_a_limit_is_no_verdict() -> None:
    with pytest.raises(LimitExceeded), step(1):
        raise LimitExceeded("too long")
