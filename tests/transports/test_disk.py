"""A folder of bodies: what is put is read back or is gone, and never anything else."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from shoal.transports.errors import ShelfBusy, ShelfDamaged, ShelfFull, ShelfUnusable
from shoal.transports.native import disk as module
from shoal.transports.native.disk import Disk

BODIES = [bytes([place]) * 1000 for place in range(8)]


def opened(folder: Path, *, bytes_max: int = 1_000_000, files_max: int = 1000) -> Disk:
    clock = iter(range(1, 1_000_000))
    disk = Disk(folder, bytes_max=bytes_max, files_max=files_max, now_us=lambda: next(clock))
    disk.open()
    return disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = opened(tmp_path / "store")
    yield made
    made.close()


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def file_of(disk: Disk, body: bytes) -> Path:
    name = digest(body).hex()
    return disk.folder / "files" / name[:2] / name


def assert_in_step(disk: Disk) -> None:
    """Files and index say the same, and nothing is left half written."""
    files = {path.name: path.stat().st_size for path in (disk.folder / "files").glob("*/*")}
    listed = disk.digests()
    assert sorted(files) == sorted(one.hex() for one in listed)
    assert disk.totals() == (sum(files.values()), len(files))
    assert list((disk.folder / "new").iterdir()) == []


def test_what_was_put_is_read_back(disk: Disk) -> None:
    shelved = disk.put(BODIES[0], worth=1)
    assert shelved.digest == digest(BODIES[0])
    assert (shelved.gone, shelved.byte_count, shelved.body_count) == ((), 1000, 1)
    assert disk.read(shelved.digest) == BODIES[0]
    assert disk.sizes([shelved.digest, digest(b"other")]) == {shelved.digest: 1000}
    assert disk.read(digest(b"other")) is None


def test_the_same_body_twice_lies_there_once(disk: Disk) -> None:
    disk.put(BODIES[0], worth=0)
    disk.put(BODIES[0], worth=2)
    assert disk.totals() == (1000, 1)


def test_an_empty_body_is_a_body(disk: Disk) -> None:
    assert disk.read(disk.put(b"", worth=0).digest) == b""


def test_it_outlives_the_process_that_put_it(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put(BODIES[0], worth=0)
    first.close()
    second = opened(tmp_path)
    assert second.read(digest(BODIES[0])) == BODIES[0]
    assert second.totals() == (1000, 1)
    second.close()


def test_two_that_have_it_open_see_what_the_other_puts_and_stay_within_the_limit_together(tmp_path: Path) -> None:
    one, two = opened(tmp_path, bytes_max=3000), opened(tmp_path, bytes_max=3000)
    for place, body in enumerate(BODIES):
        (one, two)[place % 2].put(body, worth=1)
    assert one.totals() == two.totals() == (3000, 3)
    assert two.read(digest(BODIES[-2])) == BODIES[-2]
    assert_in_step(one)
    one.close()
    two.close()


# -- limits


def test_what_is_worth_least_goes_first_and_of_equals_what_was_used_least_lately(tmp_path: Path) -> None:
    disk = opened(tmp_path, bytes_max=4000)
    for body, worth in zip(BODIES[:4], (2, 1, 0, 1), strict=True):
        disk.put(body, worth=worth)
    disk.mark({digest(BODIES[1]): 1})  # used now
    gone = [disk.put(body, worth=2).gone for body in BODIES[4:7]]
    assert gone == [(digest(BODIES[2]),), (digest(BODIES[3]),), (digest(BODIES[1]),)]
    assert disk.read(digest(BODIES[0])) == BODIES[0]
    disk.close()


def test_files_are_counted_as_well_as_bytes(tmp_path: Path) -> None:
    disk = opened(tmp_path, files_max=2)
    for body in BODIES[:4]:
        disk.put(body, worth=0)
    assert disk.totals() == (2000, 2)
    assert_in_step(disk)
    disk.close()


def test_a_body_larger_than_the_store_is_refused_and_nothing_goes_for_it(tmp_path: Path) -> None:
    disk = opened(tmp_path, bytes_max=1500)
    disk.put(BODIES[0], worth=0)
    with pytest.raises(ShelfFull, match="2000 bytes does not fit into a store of 1500"):
        disk.put(bytes(2000), worth=2)
    assert disk.totals() == (1000, 1)
    disk.close()


def test_a_smaller_limit_is_kept_from_the_moment_of_opening(tmp_path: Path) -> None:
    large = opened(tmp_path)
    for body in BODIES:
        large.put(body, worth=0)
    large.close()
    small = opened(tmp_path, bytes_max=2500)
    assert small.totals() == (2000, 2)
    assert_in_step(small)
    small.close()


# -- what goes wrong


@pytest.mark.parametrize("torn", [b"", BODIES[0][:500], BODIES[0][:-1] + b"x", BODIES[0] + b"x"])
def test_a_file_that_is_not_what_was_written_is_removed_and_never_given_out(disk: Disk, torn: bytes) -> None:
    disk.put(BODIES[0], worth=0)
    file_of(disk, BODIES[0]).write_bytes(torn)
    with pytest.raises(ShelfDamaged):
        disk.read(digest(BODIES[0]))
    assert disk.read(digest(BODIES[0])) is None
    disk.put(BODIES[0], worth=0)
    assert disk.read(digest(BODIES[0])) == BODIES[0]
    assert_in_step(disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_such_and_leaves_nothing_behind(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    disk.put(BODIES[0], worth=0)
    write = os.write
    calls: list[int] = []

    def some(file: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(number, os.strerror(number))
        return write(file, data[:300])

    monkeypatch.setattr(module.os, "write", some)
    with pytest.raises(ShelfFull, match="make room on that disk"):
        disk.put(BODIES[1], worth=0)
    monkeypatch.undo()
    assert disk.read(digest(BODIES[0])) == BODIES[0]
    assert disk.read(digest(BODIES[1])) is None
    assert_in_step(disk)
    disk.put(BODIES[1], worth=0)
    assert disk.read(digest(BODIES[1])) == BODIES[1]


def fill(disk: Disk) -> None:
    for number in range(1000):
        disk.put(b"%d" % number, worth=0)


def test_a_full_disk_under_the_index_is_told_as_such_too(disk: Disk) -> None:
    disk.put(BODIES[0], worth=0)
    (pages,) = disk._opened().execute("PRAGMA page_count").fetchone()
    disk._opened().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ShelfFull):
        fill(disk)
    assert_in_step(disk)
    assert disk.read(digest(BODIES[0])) == BODIES[0]


class NeverCommits:
    """An index whose disk is full when all was said; only the first time."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._left = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def execute(self, text: str, *values: object) -> object:
        if text == "COMMIT" and self._left:
            self._left -= 1
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._index.execute(text, *values)


@pytest.mark.parametrize("body", [BODIES[0], BODIES[2]])
def test_what_was_not_committed_leaves_neither_a_file_nor_rows_of_what_went_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    disk = opened(tmp_path, bytes_max=2000)
    for there in BODIES[:2]:
        disk.put(there, worth=0)
    index = disk._opened()
    monkeypatch.setattr(disk, "_index", NeverCommits(index))
    with pytest.raises(ShelfFull):
        disk.put(body, worth=0)
    assert disk.sizes([digest(body)]) == {}
    assert_in_step(disk)
    disk.put(body, worth=0)
    assert_in_step(disk)
    disk.close()


def test_what_goes_while_it_is_put_again_is_written_again(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put(BODIES[0], worth=0)
    other = opened(disk.folder)
    sizes = disk.sizes
    calls: list[object] = []

    def then_gone(digests: Iterable[bytes]) -> dict[bytes, int]:
        found = sizes(digests)
        if not calls:
            other.forget([digest(BODIES[0])])
        calls.append(digests)
        return found

    monkeypatch.setattr(disk, "sizes", then_gone)
    assert disk.read(disk.put(BODIES[0], worth=0).digest) == BODIES[0]
    assert_in_step(disk)
    other.close()


def test_only_what_is_gone_is_struck(disk: Disk) -> None:
    for body in BODIES[:3]:
        disk.put(body, worth=0)
    file_of(disk, BODIES[1]).unlink()
    disk.strike([digest(body) for body in BODIES[:2]])
    assert disk.totals() == (2000, 2)
    assert_in_step(disk)


def test_a_folder_that_cannot_be_made_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ShelfUnusable, match="file/store"):
        opened(tmp_path / "file" / "store")


def test_a_folder_that_is_taken_away_is_told_and_serves_nothing_wrong(disk: Disk) -> None:
    disk.put(BODIES[0], worth=0)
    disk.folder.rename(disk.folder.with_name("elsewhere"))
    assert disk.read(digest(BODIES[0])) is None
    with pytest.raises(ShelfUnusable):
        disk.put(BODIES[1], worth=0)


def test_an_index_of_a_later_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    index = sqlite3.connect(tmp_path / "index.sqlite3")
    index.execute("PRAGMA user_version = 99")
    index.close()
    with pytest.raises(ShelfUnusable, match="of version 99"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_an_index_that_cannot_be_read_is_made_anew_from_the_files(tmp_path: Path, content: bytes) -> None:
    first = opened(tmp_path)
    for body in BODIES[:3]:
        first.put(body, worth=1)
    first.close()
    for path in tmp_path.glob("index.sqlite3*"):
        path.unlink()
    (tmp_path / "index.sqlite3").write_bytes(content)
    second = opened(tmp_path)
    assert [second.read(digest(body)) for body in BODIES[:3]] == BODIES[:3]
    assert_in_step(second)
    second.close()


def test_a_folder_that_others_hold_for_too_long_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
    disk = opened(tmp_path)
    other = sqlite3.connect(tmp_path / "index.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ShelfBusy):
        disk.put(BODIES[0], worth=0)
    other.execute("ROLLBACK")
    other.close()
    disk.put(BODIES[0], worth=0)
    assert_in_step(disk)
    disk.close()


def test_what_a_closed_one_is_asked_is_refused(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    disk.close()
    disk.close()
    with pytest.raises(ShelfUnusable, match="closed"):
        disk.put(BODIES[0], worth=0)


# -- what a killed process leaves behind


def left_in_new(folder: Path) -> None:
    (folder / "new" / "1-dead").write_bytes(BODIES[5][:300])


def left_without_a_row(folder: Path) -> None:
    name = digest(BODIES[5]).hex()
    path = folder / "files" / name[:2] / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(BODIES[5])


def left_without_a_file(folder: Path) -> None:
    next((folder / "files").glob("*/*")).unlink()


def left_shorter(folder: Path) -> None:
    next((folder / "files").glob("*/*")).write_bytes(b"x")


@pytest.mark.parametrize("leave", [left_in_new, left_without_a_row, left_without_a_file, left_shorter])
def test_opening_puts_in_order_what_a_killed_process_left(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    first = opened(tmp_path)
    for body in BODIES[:3]:
        first.put(body, worth=1)
    first.close()
    leave(tmp_path)
    second = opened(tmp_path)
    assert_in_step(second)
    for one in second.digests():
        try:
            assert digest(second.read(one) or b"") == one
        except ShelfDamaged:
            assert leave is left_shorter
    second.close()


def test_opening_leaves_alone_what_another_process_is_writing(tmp_path: Path) -> None:
    one = opened(tmp_path)
    with one._written(BODIES[0]) as path:
        opened(tmp_path).close()
        assert path.read_bytes() == BODIES[0]
    one.close()


def sweep_before_each_lock(monkeypatch: pytest.MonkeyPatch, folder: Path, times: int) -> None:
    """Another process opens the folder between the making of a file and its locking."""
    lock = module.fcntl.flock
    left = iter(range(times))

    def late(file: int, how: int) -> None:
        if how == module.fcntl.LOCK_EX and next(left, None) is not None:  # sweepers do not wait for theirs
            opened(folder).close()
        lock(file, how)

    monkeypatch.setattr(module.fcntl, "flock", late)


def test_a_file_that_is_swept_before_it_was_locked_is_begun_anew(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_before_each_lock(monkeypatch, disk.folder, times=2)
    assert disk.read(disk.put(BODIES[0], worth=0).digest) == BODIES[0]
    assert_in_step(disk)


def test_a_file_that_is_swept_each_time_is_given_up(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_before_each_lock(monkeypatch, disk.folder, times=1000)
    with pytest.raises(ShelfBusy, match="swept"):
        disk.put(BODIES[0], worth=0)
    assert_in_step(disk)


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    strange = tmp_path / "files" / "ab" / "notes.txt"
    strange.parent.mkdir()
    strange.write_text("mine")
    opened(tmp_path, bytes_max=1).close()
    assert strange.read_text() == "mine"
