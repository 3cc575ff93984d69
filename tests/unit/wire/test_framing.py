from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.errors import LimitExceeded, Malformed
from vaultq_core.wire.frame import REQUEST_MAGIC, FrameHeader, RequestHeader
from vaultq_core.wire.framing import ByteStream, block, encode_header, read_header
from vaultq_core.wire.limits import HEADER_BYTES

HEADER = RequestHeader(suite="VQ-65", vault="0" * 64, recipient="kem/2026-11")
CHUNKS = st.lists(st.binary(max_size=9), max_size=9)


@given(CHUNKS, st.integers(0, 60))
def test_reads_are_exact_however_the_bytes_arrive(chunks: list[bytes], size: int) -> None:
    data, stream = b"".join(chunks), ByteStream(chunks)
    if size > len(data):
        with pytest.raises(Malformed, match="ends early"):
            stream.read_exact(size)
        return
    assert stream.read_exact(size) + b"".join(stream.rest()) == data


@given(st.binary(max_size=99), st.binary(max_size=9))
def test_a_block_is_read_back_and_the_rest_stays(data: bytes, rest: bytes) -> None:
    stream = ByteStream([block(data) + rest])
    assert stream.read_block(limit=99, what="it") == data
    assert b"".join(stream.rest()) == rest


def test_a_length_above_the_limit_is_refused_before_the_block_is_read() -> None:
    def arriving() -> Iterator[bytes]:
        yield b"\xff\xff\xff\xff"
        raise AssertionError("more was read")

    with pytest.raises(LimitExceeded, match="4294967295 bytes; the limit is 1024"):
        ByteStream(arriving()).read_block(limit=1024, what="the sealed manifest")


def test_a_length_of_4_gib_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded):
            read_header(ByteStream([REQUEST_MAGIC + b"\xff" * 4 + bytes(64)]), REQUEST_MAGIC, RequestHeader)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_header_comes_back_with_its_exact_bytes() -> None:
    data = encode_header(REQUEST_MAGIC, HEADER)
    assert read_header(ByteStream([data, b"more"]), REQUEST_MAGIC, RequestHeader) == (HEADER, data)


def test_another_magic_is_refused() -> None:
    data = encode_header(REQUEST_MAGIC, HEADER)
    with pytest.raises(Malformed, match="not a FrameHeader"):
        read_header(ByteStream([data]), b"vaultq/upload/v1\n" + b" ", FrameHeader)


@pytest.mark.parametrize(("length", "error"), [(HEADER_BYTES, Malformed), (HEADER_BYTES + 1, LimitExceeded)])
def test_a_header_is_bounded(length: int, error: type[Malformed]) -> None:
    with pytest.raises(Malformed) as caught:
        read_header(ByteStream([REQUEST_MAGIC + block(bytes(length))]), REQUEST_MAGIC, RequestHeader)
    assert type(caught.value) is error


def test_every_flipped_byte_of_a_header_is_refused_or_read_as_something_else() -> None:
    data = encode_header(REQUEST_MAGIC, HEADER)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            header, raw = read_header(ByteStream([changed]), REQUEST_MAGIC, RequestHeader)
        except Malformed:
            continue
        assert (header != HEADER, raw) == (True, changed)
