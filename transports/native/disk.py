"""Whole bodies in a folder, by their SHA-256, shared by every process that opens it.

    FOLDER/index.sqlite3     what is here: digest, size, worth, last use
    FOLDER/files/ab/ab12...  the bytes, under their digest in hex
    FOLDER/new/*             being written; each is locked by its writer for as long as that lives
    FOLDER/opening           locked by whoever is opening the folder

The file is the truth and the index a list of it, made anew where it cannot be
read.  What a process leaves that is killed at any moment:

    a file in new/      nobody holds its lock: the next that opens the folder removes it
    a file, no row      it was renamed whole: the next that opens adopts it, as the first to go
    a row, no file      the next that opens, or would read it, removes it

So nothing has to be synced: after a power cut a file may be torn, and is caught
as everything is that was damaged.  No byte is given out before all of them were
read and have the right digest.

Limits are those of whoever puts: room is made in the same transaction that adds.
What goes first is what has the lowest worth, then what was used least lately.

Everything here waits for the disk: shelf.py does it on threads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import ShelfBusy, ShelfDamaged, ShelfError, ShelfFull, ShelfUnusable
from ..interface import Shelved

__all__ = ["Disk"]

VERSION = 1  # of the index; a folder of another one is refused, and not guessed at
BUSY_TIMEOUT_S = 5.0  # another process puts in milliseconds; one that takes longer is on a disk that hangs
_BEGIN_TRIES = 20  # to begin a file; each one that is lost is lost to another process that opens the folder just then
_WRITE_BYTES = 1 << 20  # a write of one system call: killed in the middle, a body is torn and not missing

_SCHEMA = """
CREATE TABLE files (digest BLOB PRIMARY KEY, byte_count INTEGER NOT NULL, worth INTEGER NOT NULL,
                    used_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX files_by_worth ON files (worth, used_us);
"""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def _now_us() -> int:
    return time.time_ns() // 1000


class Disk:
    """One process's way into the folder.  One thread at a time, but for `read` and `sizes`, which any may call."""

    def __init__(
        self, folder: str | Path, *, bytes_max: int, files_max: int, now_us: Callable[[], int] = _now_us
    ) -> None:
        self.folder = Path(folder)
        self.bytes_max = bytes_max
        self.files_max = files_max
        self._now_us = now_us
        self._files = self.folder / "files"
        self._new = self.folder / "new"
        self._index: sqlite3.Connection | None = None

    # -- opening and closing

    def open(self) -> None:
        """Make the folder if need be, and put in order what others left.  ShelfError says what is wrong with it.

        Cost: a look at each file's name and size.
        """
        with _told(f"the store at {self.folder}"):
            for folder in (self.folder, self._files, self._new):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.folder / "opening"):
                try:
                    self._index = self._connected()
                except sqlite3.DatabaseError as error:
                    if not _is_damaged(error):
                        raise
                    self._put_aside()
                    self._index = self._connected()
                with self._transaction() as index:
                    self._sweep(index)

    def close(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            index.close()

    def _connected(self) -> sqlite3.Connection:
        index = sqlite3.connect(
            self.folder / "index.sqlite3", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            index.execute("PRAGMA journal_mode = WAL")
            index.execute("PRAGMA synchronous = NORMAL")
            (version,) = index.execute("PRAGMA user_version").fetchone()
            if version == 0:
                index.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        except BaseException:
            index.close()
            raise
        if version not in {0, VERSION}:
            index.close()
            raise ShelfUnusable(
                f"the store at {self.folder} is of version {version}, and this reads {VERSION}; name another folder"
            )
        return index

    def _put_aside(self) -> None:
        """An index that cannot be read: the files tell what is here."""
        for name in ("index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / name).replace(self.folder / f"{name}.damaged")

    def _sweep(self, index: sqlite3.Connection) -> None:
        """Make files and rows agree.  Nobody adds a file meanwhile: that needs the same transaction."""
        for left in self._new.iterdir():
            _remove_unlocked(left)
        here: dict[bytes, int] = {}
        for path in self._files.glob("*/*"):
            digest = _digest_of(path)
            if digest is not None:
                with contextlib.suppress(FileNotFoundError):  # somebody has found it to be damaged
                    here[digest] = path.stat().st_size
        known = dict(index.execute("SELECT digest, byte_count FROM files"))
        index.executemany(
            "DELETE FROM files WHERE digest = ?", [(digest,) for digest in known if here.get(digest) != known[digest]]
        )
        adopted = [(digest, size) for digest, size in here.items() if known.get(digest) != size]
        index.executemany("INSERT INTO files VALUES (?, ?, 0, 0)", adopted)
        self._make_room(index, 0, 0)

    # -- in and out

    def put(self, data: bytes, *, worth: int) -> Shelved:
        """Keep it, and let go what has to go for it.  ShelfFull if the disk has no room; ShelfBusy, ShelfError."""
        digest = hashlib.sha256(data).digest()
        if len(data) > self.bytes_max:
            raise ShelfFull(f"a body of {len(data)} bytes does not fit into a store of {self.bytes_max}")
        with _told(f"the store at {self.folder}"):
            if self.sizes([digest]).get(digest) == len(data):
                shelved = self._listed(digest, len(data), worth, None)
                if shelved is not None:
                    return shelved
            with self._written(data) as written:
                shelved = self._listed(digest, len(data), worth, written)
                assert shelved is not None, "its file is ours"
                return shelved

    def _listed(self, digest: bytes, byte_count: int, worth: int, written: Path | None) -> Shelved | None:
        """Make room, move the file to its place and list it, in one transaction.

        None if there is none to move, and the one that lay there has gone: others make room as well.
        """
        path = self._path(digest)
        gone: tuple[bytes, ...] = ()
        try:
            with self._transaction() as index:
                if written is None and self.sizes([digest]).get(digest) != byte_count:
                    return None
                gone, bytes_here, files_here = self._make_room(index, byte_count, 1, but=digest)
                if written is not None:
                    path.parent.mkdir(mode=0o700, exist_ok=True)
                    written.replace(path)
                try:
                    index.execute(
                        "INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET"
                        " byte_count = excluded.byte_count, worth = excluded.worth, used_us = excluded.used_us",
                        (digest, byte_count, worth, self._now_us()),
                    )
                    index.execute("COMMIT")
                except sqlite3.Error:
                    path.unlink(missing_ok=True)  # what is not listed would count for nothing
                    raise
        except (OSError, sqlite3.Error):
            with contextlib.suppress(ShelfError):  # their rows are there again, and their files are not
                self.strike([*gone, digest])
            raise
        return Shelved(digest, gone, bytes_here + byte_count, files_here + 1)

    def read(self, digest: bytes) -> bytes | None:
        """The bytes, all of them and right; None if they are not here.  What is damaged is removed: ShelfDamaged.

        After either, `strike` it: this thread may not have the index.
        """
        path = self._path(digest)
        with _told(f"the store at {self.folder}"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
            if hashlib.sha256(data).digest() == digest:
                return data
            path.unlink(missing_ok=True)
        raise ShelfDamaged(f"{path.name} in the store at {self.folder} was damaged, and is removed")

    def sizes(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """How long each of these is that is here.  Cost: a look at each."""
        found: dict[bytes, int] = {}
        for digest in digests:
            with _told(f"the store at {self.folder}"), contextlib.suppress(FileNotFoundError):
                found[digest] = self._path(digest).stat().st_size
        return found

    def mark(self, worths: Mapping[bytes, int]) -> None:
        """What these are worth from now on; this counts as use."""
        now_us = self._now_us()
        rows = [(worth, now_us, digest) for digest, worth in worths.items()]
        with _told(f"the store at {self.folder}"), self._transaction() as index:
            index.executemany("UPDATE files SET worth = ?, used_us = ? WHERE digest = ?", rows)

    def forget(self, digests: Sequence[bytes]) -> None:
        """Remove these; what is not here is none of anybody's business."""
        with _told(f"the store at {self.folder}"), self._transaction() as index:
            self._remove(index, digests)

    def strike(self, digests: Sequence[bytes]) -> None:
        """Take off the index those of these whose files are gone."""
        with _told(f"the store at {self.folder}"), self._transaction() as index:
            here = self.sizes(digests)
            lost = [(digest,) for digest in digests if digest not in here]
            index.executemany("DELETE FROM files WHERE digest = ?", lost)

    def totals(self) -> tuple[int, int]:
        """Bytes and files, of all processes together."""
        with _told(f"the store at {self.folder}"):
            return _totals(self._opened())

    def digests(self) -> list[bytes]:
        """All that is in the index, the first to go first."""
        with _told(f"the store at {self.folder}"):
            rows = self._opened().execute("SELECT digest FROM files ORDER BY worth, used_us, digest")
            return [digest for (digest,) in rows]

    # -- inside

    def _opened(self) -> sqlite3.Connection:
        if self._index is None:
            raise ShelfUnusable(f"the store at {self.folder} is closed; open it first")
        return self._index

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        index = self._opened()
        index.execute("BEGIN IMMEDIATE")
        try:
            yield index
            if index.in_transaction:  # else it was ended inside already
                index.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # it may have rolled back by itself, as it does when full
                index.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """A new file with these bytes, locked; gone afterwards unless it was renamed."""
        path, file = self._begun()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view[:_WRITE_BYTES]) :]
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(file)

    def _begun(self) -> tuple[Path, int]:
        """A new file that is locked, and still there.

        Until it is locked it looks like one whose writer is dead, and who opens the folder removes it.
        """
        for _ in range(_BEGIN_TRIES):
            path = self._new / f"{os.getpid()}-{secrets.token_hex(8)}"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_nlink:
                    return path, file
            except BaseException:
                path.unlink(missing_ok=True)
                os.close(file)
                raise
            os.close(file)
        raise ShelfBusy(f"{self._new} was swept {_BEGIN_TRIES} times while a file was begun; is it opened in a loop?")

    def _make_room(
        self, index: sqlite3.Connection, byte_count: int, files: int, *, but: bytes = b""
    ) -> tuple[tuple[bytes, ...], int, int]:
        """Remove until so much more fits; what went, and the bytes and files left.

        `but` counts for nothing, since it is replaced.
        """
        bytes_here, files_here = _totals(index, but)
        gone: list[bytes] = []
        if bytes_here + byte_count > self.bytes_max or files_here + files > self.files_max:
            rows = index.execute(
                "SELECT digest, byte_count FROM files WHERE digest != ? ORDER BY worth, used_us, digest", (but,)
            )
            for digest, size in rows:
                if bytes_here + byte_count <= self.bytes_max and files_here + files <= self.files_max:
                    break
                gone.append(digest)
                bytes_here -= size
                files_here -= 1
            rows.close()
        self._remove(index, gone)
        return tuple(gone), bytes_here, files_here

    def _remove(self, index: sqlite3.Connection, digests: Sequence[bytes]) -> None:
        for digest in digests:
            self._path(digest).unlink(missing_ok=True)
        index.executemany("DELETE FROM files WHERE digest = ?", [(digest,) for digest in digests])

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._files / name[:2] / name


def _totals(index: sqlite3.Connection, but: bytes = b"") -> tuple[int, int]:
    row = index.execute("SELECT coalesce(sum(byte_count), 0), count(*) FROM files WHERE digest != ?", (but,)).fetchone()
    return int(row[0]), int(row[1])


def _digest_of(path: Path) -> bytes | None:
    """None for a file that nobody here has made; it is left alone."""
    try:
        digest = bytes.fromhex(path.name)
    except ValueError:
        return None
    return digest if len(digest) == hashlib.sha256().digest_size and path.name == digest.hex() else None


def _remove_unlocked(path: Path) -> None:
    """Remove a file whose writer is dead, which is when nobody holds its lock."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return  # renamed or removed meanwhile; or no file of ours
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # being written
    finally:
        os.close(file)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with this process, however that ends."""
    end_s = time.monotonic() + BUSY_TIMEOUT_S
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end_s:
                    raise ShelfBusy(f"{path} is locked for {BUSY_TIMEOUT_S:g} s; is its disk hanging?") from None
            time.sleep(0.01)
        yield
    finally:
        os.close(file)


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """The errors of the platform, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise ShelfFull(f"{what} cannot grow: {error.strerror}; make room on that disk") from error
        raise ShelfUnusable(
            f"{what} cannot be used: {error.strerror or error}; is the folder ours to write?"
        ) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise ShelfFull(f"{what} cannot grow: {error}; make room on that disk") from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise ShelfBusy(
                f"{what} is held by another process for {BUSY_TIMEOUT_S:g} s; is its disk hanging?"
            ) from error
        raise ShelfUnusable(f"{what} has an index that cannot be used: {error}; remove index.sqlite3") from error
