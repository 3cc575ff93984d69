from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vaultq_client.destination import new_file
from vaultq_core.errors import Conflict, NotFound, NotVerified


def write(path: Path, data: bytes, *, then: Callable[[], object]) -> None:
    with new_file(path, replace=False) as file:
        file.write(data)
        then()


def failing() -> None:
    raise NotVerified("the rest is missing")


def test_the_name_appears_with_the_last_byte(tmp_path: Path) -> None:
    target = tmp_path / "scan.pdf"
    with new_file(target, replace=False) as file:
        file.write(b"content")
        assert not target.exists()

    assert target.read_bytes() == b"content"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotVerified):
        write(tmp_path / "scan.pdf", b"half", then=failing)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_to_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "scan.pdf"
    target.write_bytes(b"old")
    with pytest.raises(NotVerified), new_file(target, replace=True):
        raise NotVerified("no")
    assert target.read_bytes() == b"old"

    with new_file(target, replace=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "scan.pdf"
    target.write_bytes(b"old")

    with pytest.raises(Conflict, match="there already"), new_file(target, replace=False):
        pass
    assert target.read_bytes() == b"old"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "scan.pdf"
    with pytest.raises(Conflict):
        write(target, b"mine", then=lambda: target.write_bytes(b"theirs"))

    assert (target.read_bytes(), list(tmp_path.iterdir())) == (b"theirs", [target])


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Conflict), new_file(tmp_path / "scan.pdf", replace=False):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_without_hard_links_gets_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)  # as on FAT
    with new_file(tmp_path / "scan.pdf", replace=False) as file:
        file.write(b"content")

    assert [each.name for each in tmp_path.iterdir()] == ["scan.pdf"]


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound), new_file(tmp_path / "no" / "scan.pdf", replace=False):
        pass
