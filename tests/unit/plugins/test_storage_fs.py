from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from vaultq_core.errors import Conflict, ObjectMissing, StorageError, StorageUnavailable
from vaultq_core.spi.names import CHECKPOINTS, RECORDS, checkpoint_name
from vaultq_core.spi.testing import KnownSecret, StorageContract
from vaultq_core.spi.testing.storage_contract import new_name
from vaultq_storage_fs import plugin
from vaultq_storage_fs.new_object import PARTS
from vaultq_storage_fs.root import MARK, can_do_unnamed, open_root
from vaultq_storage_fs.storage import FsStorage

SECRET = KnownSecret()
Reopen = Callable[[], FsStorage]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def settings(root: Path) -> plugin.FsSettings:
    return plugin.FsSettings(path=str(root))


@pytest.fixture
def reopen(settings: plugin.FsSettings) -> Reopen:
    plugin.create(settings, SECRET).close()
    return partial(plugin.open_storage, settings, SECRET)


@pytest.fixture
def storage(reopen: Reopen) -> Iterator[FsStorage]:
    with closing(reopen()) as storage:
        yield storage


@pytest.fixture
def without_unnamed(settings: plugin.FsSettings, root: Path) -> Reopen:
    """The way that is gone where the filesystem has no files without a name."""
    plugin.create(settings, SECRET).close()
    return partial(open_named, root)


def open_named(root: Path) -> FsStorage:
    return FsStorage(open_root(root), unnamed=False)


class TestFsStorage(StorageContract):
    @pytest.fixture
    def reopen(self, settings: plugin.FsSettings) -> Reopen:
        plugin.create(settings, SECRET).close()
        return partial(plugin.open_storage, settings, SECRET)


class TestFsStorageOnAFilesystemWithoutUnnamedFiles(StorageContract):
    @pytest.fixture
    def reopen(self, without_unnamed: Reopen) -> Reopen:
        return without_unnamed


@pytest.mark.usefixtures("reopen")
def test_this_filesystem_has_unnamed_files_so_that_both_ways_are_tested(root: Path) -> None:
    descriptor = open_root(root)

    assert can_do_unnamed(descriptor)
    os.close(descriptor)


def test_objects_and_directories_are_for_one_user(storage: FsStorage, root: Path) -> None:
    name = new_name()
    storage.put_new(name, [b"x"])

    assert (root / name).stat().st_mode & 0o777 == 0o600
    assert {each.stat().st_mode & 0o777 for each in (root / name).parents[:2]} == {0o700}


def test_a_directory_with_something_in_it_does_not_become_a_storage(settings: plugin.FsSettings, root: Path) -> None:
    root.mkdir()
    (root / "thesis.txt").write_text("mine")

    with pytest.raises(Conflict):
        plugin.create(settings, SECRET)


def test_a_disk_that_is_not_mounted_is_no_empty_storage(reopen: Reopen, root: Path) -> None:
    (root / MARK).unlink()

    with pytest.raises(StorageUnavailable) as raised:
        reopen()

    assert "Mount" in raised.value.remedy


def test_a_root_that_is_not_there_is_told(settings: plugin.FsSettings) -> None:
    with pytest.raises(StorageUnavailable, match="No such file"):
        plugin.open_storage(settings, SECRET)


def test_a_root_that_others_can_write_is_refused(reopen: Reopen, root: Path) -> None:
    root.chmod(0o777)

    with pytest.raises(StorageError):
        reopen()


# --- links planted below the root -----------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_bytes(b"not yours")
    return directory


def test_a_symlink_in_an_objects_place_is_not_read(storage: FsStorage, root: Path, outside: Path) -> None:
    name = checkpoint_name(1)
    (root / "log").mkdir()
    (root / name).symlink_to(outside / "secret")

    with pytest.raises(StorageError):
        storage.open(name)
    with pytest.raises(StorageError):
        storage.stat(name)
    assert list(storage.list(CHECKPOINTS)) == []


def test_a_symlink_in_an_objects_place_is_not_written_through(storage: FsStorage, root: Path, outside: Path) -> None:
    name = checkpoint_name(1)
    (root / "log").mkdir()
    (root / name).symlink_to(outside / "new")

    with pytest.raises(StorageError):
        storage.put_new(name, [b"x"])

    assert [each.name for each in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("depth", ["vault", "patient"])
def test_a_symlinked_directory_is_not_followed(storage: FsStorage, root: Path, outside: Path, depth: str) -> None:
    name = new_name()
    link = root / "vault" if depth == "vault" else (root / name).parent
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside, target_is_directory=True)

    with pytest.raises(StorageError):
        storage.put_new(name, [b"x"])
    with pytest.raises(StorageError):
        storage.open(name)
    with pytest.raises(StorageError):
        storage.delete(name)

    assert [each.name for each in outside.iterdir()] == ["secret"]


def test_deleting_a_planted_symlink_spares_its_target(storage: FsStorage, root: Path, outside: Path) -> None:
    name = checkpoint_name(1)
    (root / "log").mkdir()
    (root / name).symlink_to(outside / "secret")

    storage.delete(name)

    assert (outside / "secret").read_bytes() == b"not yours"


def test_a_fifo_in_an_objects_place_does_not_hold_the_reader(storage: FsStorage, root: Path) -> None:
    name = checkpoint_name(1)
    (root / "log").mkdir()
    os.mkfifo(root / name)

    with pytest.raises(StorageError):
        storage.open(name)


def test_foreign_files_are_passed_over(storage: FsStorage, root: Path) -> None:
    name = new_name()
    storage.put_new(name, [b"x"])
    (root / "vault" / "lost+found").mkdir()
    (root / "vault" / "notes.txt").write_text("mine")
    (root / name).with_suffix(".bak").write_text("mine")

    assert [each.name for each in storage.list(RECORDS)] == [name]


# --- full disks and kills -------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_a_disk_without_room_is_told_and_leaves_nothing(*, named: bool, reopen: Reopen, root: Path) -> None:
    code = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
storage.put_new(name, [bytes(1 << 19)] * 8)
"""
    with elsewhere(root, new_name(), code, named=named) as child:
        _, complaint = child.communicate()

    assert "StorageUnavailable: the storage has no room for vault/" in complaint
    with closing(reopen()) as storage:
        assert list(storage.list(RECORDS)) == []
    assert files_below(root) == {MARK}


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_a_writer_killed_in_the_middle_leaves_nothing(*, named: bool, reopen: Reopen, root: Path) -> None:
    name = new_name()
    with elsewhere(root, name, ENDLESS, named=named) as child:
        assert output(child).readline() == "writing\n"
        child.send_signal(signal.SIGKILL)
        child.communicate()

    with closing(reopen()) as storage, pytest.raises(ObjectMissing):
        storage.stat(name)
    assert files_below(root) == {MARK}


def test_opening_a_storage_spares_the_parts_of_a_living_writer(without_unnamed: Reopen, root: Path) -> None:
    with elsewhere(root, new_name(), ENDLESS, named=True) as child:
        assert output(child).readline() == "writing\n"

        without_unnamed().close()

        assert len(list((root / PARTS).iterdir())) == 1
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_a_sweep_disturbs_no_writer_that_is_just_starting(without_unnamed: Reopen, root: Path) -> None:
    with elsewhere(root, new_name(), ENDLESS_SWEEPS, named=True) as child, closing(without_unnamed()) as storage:
        assert output(child).readline() == "sweeping\n"
        for _ in range(300):
            storage.put_new(new_name(), [b"x"])
        child.send_signal(signal.SIGKILL)
        child.communicate()

        assert len(list(storage.list(RECORDS))) == 300


def test_what_was_acknowledged_survives_a_kill(storage: FsStorage, root: Path) -> None:
    code = """
while True:
    name = new_name()
    storage.put_new(name, [name.encode()])
    print(name, flush=True)
"""
    with elsewhere(root, new_name(), code) as child:
        acknowledged = [output(child).readline().strip() for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        child.communicate()

    assert [b"".join(storage.open(name)).decode() for name in acknowledged] == acknowledged
    assert all(b"".join(storage.open(each.name)) == each.name.encode() for each in storage.list(RECORDS))


def test_an_open_object_can_be_read_while_it_is_deleted(storage: FsStorage) -> None:
    name = new_name()
    storage.put_new(name, [b"still here"])
    reading = storage.open(name)

    storage.delete(name)

    assert b"".join(reading) == b"still here"


def test_readers_that_are_dropped_hold_no_descriptor(storage: FsStorage) -> None:
    name = new_name()
    storage.put_new(name, [b"x"])
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the fresh descriptor must be counted both times

    for _ in range(50):
        storage.open(name)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


def test_a_patient_directory_removed_by_hand_is_made_again(storage: FsStorage, root: Path) -> None:
    patient = str(uuid.uuid4())
    name = new_name(patient)
    storage.put_new(name, [b"x"])
    storage.delete(name)
    (root / name).parent.rmdir()

    storage.put_new(name, [b"y"])

    assert b"".join(storage.open(name)) == b"y"


ENDLESS = """
def chunks():
    yield bytes(1 << 20)
    print("writing", flush=True)
    signal.pause()
storage.put_new(name, chunks())
"""


ENDLESS_SWEEPS = """
from vaultq_storage_fs.new_object import sweep
from vaultq_storage_fs.tree import Tree
tree = Tree(open_root(root))
print("sweeping", flush=True)
while True:
    sweep(tree)
"""


def elsewhere(root: Path, name: str, code: str, *, named: bool = False) -> subprocess.Popen[str]:
    """Start a process that opens the storage, then runs `code`."""
    opening = f"""
import pathlib, resource, signal
from vaultq_core.spi.testing.storage_contract import new_name
from vaultq_storage_fs.root import open_root
from vaultq_storage_fs.storage import FsStorage
root = pathlib.Path({str(root)!r})
storage = FsStorage(open_root(root), unnamed={not named})
name = {name!r}
"""
    return subprocess.Popen(
        [sys.executable, "-c", opening + code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdout is not None
    return child.stdout


def files_below(root: Path) -> set[str]:
    return {each.name for each in root.rglob("*") if each.is_file()}
