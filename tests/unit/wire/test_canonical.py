from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire import canonical


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: str
    data: bytes
    number: int
    inner: Note | None = None


texts = st.text().map(lambda text: unicodedata.normalize("NFC", text))
notes = st.recursive(
    st.builds(Note, text=texts, data=st.binary(), number=st.integers(0, 2**53 - 1)),
    lambda inner: st.builds(Note, text=texts, data=st.binary(), number=st.just(0), inner=inner),
    max_leaves=4,
)


@given(notes)
def test_what_was_encoded_decodes_to_the_same_value(note: Note) -> None:
    assert canonical.decode(canonical.encode(note), Note, limit=1_000_000) == note


@given(notes, st.data())
def test_no_two_spellings_decode(note: Note, data: st.DataObject) -> None:
    good = canonical.encode(note)
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    try:
        value = canonical.decode(changed, Note, limit=1_000_000)
    except Malformed:
        return
    assert canonical.encode(value) == changed


def test_a_field_set_by_default_is_written() -> None:
    assert canonical.encode(Note(text="", data=b"", number=0)) == b'{"text":"","data":"","number":0,"inner":null}'


@pytest.mark.parametrize("text", ["u\u0308", "\u212b", "\udcff"], ids=ascii)
def test_what_is_not_nfc_or_no_unicode_is_not_written(text: str) -> None:
    with pytest.raises(Malformed):
        canonical.encode(Note(text=text, data=b"", number=0))


def test_a_limit_holds_before_anything_is_parsed() -> None:
    with pytest.raises(LimitExceeded, match="Note has 5 bytes; the limit is 4"):
        canonical.decode(b"\xff" * 5, Note, limit=4)


def test_a_limit_is_the_longest_that_passes() -> None:
    data = canonical.encode(Note(text="a", data=b"", number=0))
    assert canonical.decode(data, Note, limit=len(data)).text == "a"


def test_nesting_ends_in_a_refusal_and_not_in_a_stack_overflow() -> None:
    data = b'{"text":"","data":"","number":0,"inner":' * 100_000
    with pytest.raises(Malformed):
        canonical.decode(data, Note, limit=len(data))
