from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaultq_client import source_file
from vaultq_client.source_file import examine, file_chunks, holds_still, signed_chunks
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.errors import Conflict, NotFound, Usage
from vaultq_core.wire.manifest import Content

CHUNK = source_file.CHUNK_BYTES
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]


def content_of(data: bytes) -> Content:
    return Content(sha256=sha256_hex(data), length=len(data), media_type="text/plain", name="x")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_what_was_signed_is_what_is_sent(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = written(tmp_path / "scan", data)
    told: list[tuple[int, int]] = []
    found = examine(path, lambda done, total: told.append((done, total)))

    assert (found.sha256, found.size) == (sha256_hex(data), size)
    assert b"".join(signed_chunks(path, content_of(data))) == data
    assert b"".join(file_chunks(path)) == data
    assert not size or told[-1] == (size, size)


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "empty"])
@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1])
def test_the_end_of_a_file_that_changed_is_never_sent(tmp_path: Path, size: int, change: str) -> None:
    data = os.urandom(size)
    now = {"longer": data + b"x", "shorter": data[:-1], "other": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}
    path = written(tmp_path / "scan", now[change])
    sent: list[bytes] = []

    with pytest.raises(Conflict, match="changed"):
        sent.extend(signed_chunks(path, content_of(data)))
    assert sum(map(len, sent)) < size


def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "scan", bytes(2 * CHUNK))

    def change(done: int, _total: int) -> None:
        if done == CHUNK:
            written(path, b"shorter")

    with pytest.raises(Conflict, match="changed"):
        examine(path, change)


def test_a_file_that_was_only_touched_holds_still(tmp_path: Path) -> None:
    path = written(tmp_path / "scan", b"content")
    found = examine(path)
    os.utime(path, ns=(1, 1))

    assert holds_still(path, content_of(b"content"), size=found.size, modified=found.modified)
    written(path, b"CONTENT")
    assert not holds_still(path, content_of(b"content"), size=found.size, modified=found.modified)


def made_fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def made_directory(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("make", [made_fifo, made_directory])
def test_only_a_regular_file_becomes_a_record(tmp_path: Path, make: object) -> None:
    assert callable(make)
    with pytest.raises(Usage, match="regular"):
        examine(make(tmp_path / "it"))


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    chunks: Iterator[bytes] = signed_chunks(tmp_path / "gone", content_of(b""))
    with pytest.raises(NotFound):
        next(chunks)
