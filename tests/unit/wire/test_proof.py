from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.limits import PROOF_BYTES
from vaultq_core.wire.proof import LoggedEntry, Receipt, decode_receipt, encode_receipt

hashes = st.binary(min_size=32, max_size=32)
receipts = st.builds(
    Receipt,
    st.builds(LoggedEntry, entry=st.binary(max_size=99), salt=hashes),
    st.integers(0, 10**19 - 1),
    st.lists(hashes, max_size=63).map(tuple),
    st.just("log\n1\nroot\n\n— log AAAAAQE=\n"),
)
GOOD = Receipt(LoggedEntry(entry=b"{}", salt=bytes(32)), 0, (bytes(32),), "log\n")


@given(receipts)
def test_a_receipt_comes_back_as_it_was(receipt: Receipt) -> None:
    assert decode_receipt(encode_receipt(receipt)) == receipt


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("proof@v1", "proof@v1 "),
        ("extra ", "extra  "),
        ("extra ", "Extra "),
        ("index 0", "index 00"),
        ("index 0", "index 0 "),
        ("index 0", "index \u0660"),
        ("index 0", "index " + "9" * 20),
        ("A=\n\n", "=\n\n"),
        ("\n\n", "\n"),
        ("A=\n\n", "A=\n" + ("A" * 43 + "=\n") * 63 + "\n"),
    ],
)
def test_another_spelling_is_refused(old: str, new: str) -> None:
    text = encode_receipt(GOOD)
    assert old in text
    with pytest.raises(Malformed):
        decode_receipt(text.replace(old, new, 1))


def test_a_receipt_is_bounded_before_it_is_parsed() -> None:
    with pytest.raises(LimitExceeded):
        decode_receipt("x" * (PROOF_BYTES + 1))
