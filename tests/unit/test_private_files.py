from __future__ import annotations

import os
from pathlib import Path

import pytest

from vaultq_core.errors import Conflict, InsecureFile, LimitExceeded, NotFound, Unavailable
from vaultq_core.private_files import read_private, write_private
from vaultq_core.spi.testing.at_once import in_threads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.json"


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_what_is_written_is_read_and_is_ours_alone(path: Path) -> None:
    write_private(path, b"first")
    write_private(path, b"second")

    assert read_private(path, 6) == b"second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path) == ["identity.json"]


def test_a_lax_umask_does_not_open_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(path, b"x")
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600


def test_replacing_tightens_a_file_that_was_open_to_others(path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o666)

    write_private(path, b"new")

    assert read_private(path, 100) == b"new"


def test_create_only_never_replaces(path: Path) -> None:
    write_private(path, b"first", create_only=True)

    with pytest.raises(Conflict):
        write_private(path, b"second", create_only=True)

    assert read_private(path, 100) == b"first"
    assert names(path) == ["identity.json"]


def test_of_eight_creators_one_wins(path: Path) -> None:
    def create(number: int) -> bool:
        try:
            write_private(path, bytes([number]), create_only=True)
        except Conflict:
            return False
        return True

    outcomes = in_threads(8, create)

    assert outcomes.count(True) == 1
    assert read_private(path, 1) == bytes([outcomes.index(True)])


def test_writing_replaces_a_planted_symlink_and_spares_its_target(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"theirs")
    path.symlink_to(target)

    write_private(path, b"ours")

    assert target.read_bytes() == b"theirs"
    assert read_private(path, 100) == b"ours"


def test_create_only_is_not_fooled_by_a_dangling_symlink(path: Path) -> None:
    path.symlink_to("nowhere")

    with pytest.raises(Conflict):
        write_private(path, b"x", create_only=True)


def test_a_missing_file_is_not_found(path: Path) -> None:
    with pytest.raises(NotFound):
        read_private(path, 100)
    with pytest.raises(NotFound):
        write_private(path.parent / "absent" / "x", b"x")


def test_a_file_over_the_limit_is_refused(path: Path) -> None:
    write_private(path, b"12345")

    assert read_private(path, 5) == b"12345"
    with pytest.raises(LimitExceeded):
        read_private(path, 4)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_mode_beyond_0600_is_refused(path: Path, mode: int) -> None:
    write_private(path, b"x")
    path.chmod(mode)

    with pytest.raises(InsecureFile, match=f"{mode:04o}"):
        read_private(path, 100)


def test_a_symlink_is_refused(path: Path) -> None:
    write_private(path.with_name("real"), b"x")
    path.symlink_to("real")

    with pytest.raises(InsecureFile):
        read_private(path, 100)


def test_a_hard_link_is_refused(path: Path) -> None:
    write_private(path, b"x")
    path.with_name("second").hardlink_to(path)

    with pytest.raises(InsecureFile, match="hard link"):
        read_private(path, 100)


def test_a_fifo_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path, 0o600)

    with pytest.raises(InsecureFile):
        read_private(path, 100)


def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir(0o700)

    with pytest.raises((InsecureFile, Unavailable)):
        read_private(path, 100)


@pytest.fixture
def foreign_file(path: Path) -> Path:
    """Another user's file: root can make one, anybody else finds one of root's."""
    if os.geteuid() != 0:
        return Path("/etc/passwd")
    write_private(path, b"x")
    os.chown(path, 12345, -1)
    return path


def test_another_users_file_is_refused(foreign_file: Path) -> None:
    with pytest.raises(InsecureFile, match="another user"):
        read_private(foreign_file, 1 << 20)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o1777])
def test_a_directory_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    write_private(path, b"x")
    path.parent.chmod(mode)

    with pytest.raises(InsecureFile):
        read_private(path, 100)
    with pytest.raises(InsecureFile):
        write_private(path, b"y")


def test_a_symlinked_directory_is_refused(path: Path) -> None:
    write_private(path, b"x")
    link = path.parent / "link"
    link.symlink_to(path.parent, target_is_directory=True)

    with pytest.raises(InsecureFile):
        read_private(link / path.name, 100)
