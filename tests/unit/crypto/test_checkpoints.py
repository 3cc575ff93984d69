from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.hospital import Hospital, VaultKeys, log_signer
from vaultq_core.crypto.checkpoints import Checkpoint, verify_checkpoint
from vaultq_core.errors import NotVerified

SIGNER = log_signer("ab" * 32, "checkpoints")


@given(st.integers(0, 2**53), st.binary(min_size=32, max_size=32), st.integers(0, 2**53))
def test_a_signed_checkpoint_says_size_root_and_time(size: int, root: bytes, time: int) -> None:
    assert verify_checkpoint(SIGNER.sign(size, root, time), SIGNER.public()) == Checkpoint(size, root, time)


def test_every_flipped_character_is_refused() -> None:
    note = SIGNER.sign(7, bytes(32), 99)
    for at in (*range(200), *range(200, len(note), 61), len(note) - 1):
        changed = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
        with pytest.raises(NotVerified):
            verify_checkpoint(changed, SIGNER.public())


def test_a_log_with_one_other_key_is_another_log() -> None:
    other = log_signer("ab" * 32, "other")
    note = SIGNER.sign(7, bytes(32), 99)
    for field, step in (("ed25519", 2), ("mldsa44", 3)):
        mixed = dataclasses.replace(SIGNER, **{field: getattr(other, field)})
        with pytest.raises(NotVerified, match=f"step {step}"):
            verify_checkpoint(note, mixed.public())


def test_the_log_s_keys_are_not_printed(vault_keys: VaultKeys, hospital: Hospital) -> None:
    assert "PrivateKey" not in repr(vault_keys.log)
    assert hospital.vault[:16] in repr(vault_keys.log)
