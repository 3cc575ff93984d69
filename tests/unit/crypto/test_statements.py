from __future__ import annotations

import itertools
from typing import get_args

import pytest

from tests.fixtures.hospital import Hospital, VaultKeys
from vaultq_core.crypto.statements import allows, verify_vault_statement
from vaultq_core.errors import CannotVerify
from vaultq_core.wire.statements import Role

ROLES: tuple[Role, ...] = get_args(Role)


@pytest.mark.parametrize(("held", "needed"), list(itertools.product(ROLES, ROLES)))
def test_own_contains_write_and_write_contains_read(held: Role, needed: Role) -> None:
    order = ("read", "write", "own")
    assert allows(held, needed) == (order.index(held) >= order.index(needed))


def test_an_ended_statement_is_not_a_pass_but_old_evidence(hospital: Hospital) -> None:
    ended: VaultKeys = hospital.vault_keys(expires=int(hospital.now.timestamp()) - 1)
    with pytest.raises(CannotVerify, match="step 4"):
        verify_vault_statement(ended.signed, hospital.trust, at=hospital.now)
    assert verify_vault_statement(ended.signed, hospital.trust, at=None) == ended.statement
