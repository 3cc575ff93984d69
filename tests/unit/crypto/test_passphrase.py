from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from vaultq_core.crypto.passphrase import BOX_BYTES, BoxKey, Cost, read_box, seal, unseal
from vaultq_core.errors import LimitExceeded, Malformed, Usage, WrongPassphrase

LABEL = "vaultq/example/v1"
CHEAP = Cost(iterations=2, lanes=1, memory_kib=19 * 1024)


@pytest.fixture(scope="module")
def box() -> bytes:
    return seal(b"plaintext", "correct horse", label=LABEL, cost=CHEAP)


def test_what_is_sealed_unseals(box: bytes) -> None:
    assert unseal(box, "correct horse", label=LABEL) == b"plaintext"
    assert b"plaintext" not in box


def test_the_default_cost_is_three_passes_over_64_mib() -> None:
    box = seal(b"", "correct horse", label=LABEL)

    kdf = read_box(box, label=LABEL).header.kdf
    assert (kdf.name, kdf.iterations, kdf.lanes, kdf.memory_kib) == ("argon2id", 3, 4, 65536)
    assert unseal(box, "correct horse", label=LABEL) == b""


def test_sealing_twice_shares_neither_salt_nor_nonce(box: bytes) -> None:
    first, second = (
        read_box(each, label=LABEL).header for each in (box, seal(b"x", "correct horse", label=LABEL, cost=CHEAP))
    )

    assert first.kdf.salt != second.kdf.salt
    assert first.nonce != second.nonce


@pytest.mark.parametrize("guess", ["", "Correct horse", "correct horse ", "x" * 5000])
def test_a_wrong_passphrase_opens_nothing(box: bytes, guess: str) -> None:
    with pytest.raises(WrongPassphrase):
        unseal(box, guess, label=LABEL)


def test_a_letter_typed_in_two_ways_is_one_passphrase() -> None:
    box = seal(b"x", "Z\u00fcrich", label=LABEL, cost=CHEAP)

    assert unseal(box, "Zu\u0308rich", label=LABEL) == b"x"


def test_an_empty_passphrase_seals_nothing() -> None:
    with pytest.raises(Usage):
        seal(b"x", "", label=LABEL)


def test_a_box_does_not_open_as_another_kind(box: bytes) -> None:
    with pytest.raises(Malformed):
        unseal(box, "correct horse", label="vaultq/other/v1")


def test_a_box_relabelled_by_an_attacker_does_not_open(box: bytes) -> None:
    with pytest.raises(WrongPassphrase):
        unseal(box.replace(LABEL.encode(), b"vaultq/other/v1"), "correct horse", label="vaultq/other/v1")


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        (b'"iterations":2', b'"iterations":3'),
        (b'"lanes":1', b'"lanes":2'),
        (b'"memory_kib":19456', b'"memory_kib":19457'),
    ],
)
def test_a_changed_cost_within_bounds_does_not_open(box: bytes, field: bytes, hostile: bytes) -> None:
    with pytest.raises(WrongPassphrase):
        unseal(box.replace(field, hostile), "correct horse", label=LABEL)


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        (b'"iterations":2', b'"iterations":1'),
        (b'"iterations":2', b'"iterations":9'),
        (b'"iterations":2', b'"iterations":-2'),
        (b'"iterations":2', b'"iterations":2.0'),
        (b'"lanes":1', b'"lanes":0'),
        (b'"lanes":1', b'"lanes":17'),
        (b'"memory_kib":19456', b'"memory_kib":19455'),
        (b'"memory_kib":19456', b'"memory_kib":524289'),
        (b'"argon2id"', b'"argon2i"'),
        (b"AES-256-GCM", b"AES-128-GCM"),
        (b'"version":1', b'"version":2'),
        (b'{"header"', b'{"extra":1,"header"'),
        (b'{"header"', b'{ "header"'),
    ],
)
def test_a_header_out_of_bounds_is_refused_unread(box: bytes, field: bytes, hostile: bytes) -> None:
    changed = box.replace(field, hostile)
    assert changed != box

    with pytest.raises(Malformed):
        read_box(changed, label=LABEL)


def test_a_short_salt_or_nonce_is_refused(box: bytes) -> None:
    header = read_box(box, label=LABEL).header

    for value in (header.kdf.salt, header.nonce):
        with pytest.raises(Malformed):
            read_box(box.replace(base64.b64encode(value), base64.b64encode(value[:8])), label=LABEL)


def test_a_flipped_ciphertext_is_refused(box: bytes) -> None:
    sealed = read_box(box, label=LABEL).ciphertext

    for place in (0, len(sealed) // 2, len(sealed) - 1):
        flipped = bytearray(sealed)
        flipped[place] ^= 1
        with pytest.raises(WrongPassphrase):
            unseal(box.replace(base64.b64encode(sealed), base64.b64encode(flipped)), "correct horse", label=LABEL)


def test_an_oversized_box_is_refused_unread() -> None:
    with pytest.raises(LimitExceeded):
        read_box(b"{" * (BOX_BYTES + 1), label=LABEL)


def test_a_derived_key_seals_again_and_does_not_show_itself(box: bytes) -> None:
    parsed = read_box(box, label=LABEL)
    key = BoxKey.of(parsed, "correct horse")

    again = key.seal(b"changed", label=LABEL)

    assert key.fits(read_box(again, label=LABEL))
    assert unseal(again, "correct horse", label=LABEL) == b"changed"
    assert repr(key.key) not in repr(key)


def test_threads_that_derive_at_once_do_not_wait_for_each_other_for_ever() -> None:
    program = (
        "from concurrent.futures import ThreadPoolExecutor; from vaultq_core.crypto.passphrase import BoxKey, Cost;"
        " threads = ThreadPoolExecutor(4); list(threads.map(lambda _: BoxKey.new('correct horse', Cost()), range(12)))"
    )

    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
