from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.limits import NOTE_BYTES
from vaultq_core.wire.note import (
    CheckpointBody,
    NoteSignature,
    SignedNote,
    decode_base64,
    decode_checkpoint_body,
    decode_note,
    encode_note,
)

names = st.from_regex(r"[a-z0-9./-]{1,30}", fullmatch=True)
signatures = st.builds(
    NoteSignature,
    name=names,
    key_id=st.binary(min_size=4, max_size=4),
    signature=st.binary(min_size=1, max_size=80),
)
bodies = st.builds(CheckpointBody, names, st.integers(0, 10**19 - 1), st.binary(min_size=32, max_size=32))
LINE = "— log AAAAAQE=\n"


@given(bodies, st.lists(signatures, min_size=1, max_size=16))
def test_a_signed_checkpoint_comes_back_as_it_was(body: CheckpointBody, lines: list[NoteSignature]) -> None:
    note = SignedNote(body.text(), tuple(lines))
    assert decode_note(encode_note(note)) == note
    assert decode_checkpoint_body(note.text) == body


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n",
        "a\n\n",
        f"a\n{LINE}",
        f"a\n\n{LINE}\n",
        f"a\n\n{LINE}".removesuffix("\n"),
        f"a\r\n\n{LINE}",
        f"a\t\n\n{LINE}",
        f"a\0\n\n{LINE}",
        "a\n\n- log AAAAAQE=\n",
        "a\n\n— log\n",
        "a\n\n— log AAAAAQE\n",
        "a\n\n— log AAAA\n",
        "a\n\n— log AAAAAQF=\n",
        "a\n\n— l og AAAAAQE=\n",
        "a\n\n— l+g AAAAAQE=\n",
        f"a\n\n{LINE}x\n",
    ],
    ids=ascii,
)
def test_what_is_no_signed_note_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_note(text)


@pytest.mark.parametrize(
    "text", [f"a\n\n{LINE * 17}", "a" * NOTE_BYTES + f"\n\n{LINE}"], ids=["signatures", "characters"]
)
def test_a_note_is_bounded(text: str) -> None:
    with pytest.raises(LimitExceeded):
        decode_note(text)


ROOT = "A" * 43 + "="


@pytest.mark.parametrize(
    "text",
    [
        f"log\n1\n{ROOT}",
        f"log\n01\n{ROOT}\n",
        f"log\n-1\n{ROOT}\n",
        f"log\n+1\n{ROOT}\n",
        f"log\n\u0661\n{ROOT}\n",
        f"log\n{10**19}\n{ROOT}\n",
        f"log\n1\n{ROOT}\nextension\n",
        f"\n1\n{ROOT}\n",
        f"l og\n1\n{ROOT}\n",
        "log\n1\nAAAA\n",
        "log\n1\n" + "A" * 42 + "B=\n",
    ],
    ids=ascii,
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_checkpoint_body(text)


@given(st.binary(max_size=60))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "AB==", "A A=", "AA==\n", "-_==", "AA==AA==", "Ä==="], ids=ascii)
def test_another_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_base64(text)
