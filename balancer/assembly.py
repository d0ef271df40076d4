"""One resource's bytes, as they come from one source after another.

    begin(source, total_bytes, etag)   a transfer's headers
    add(source, data, offset)          its bytes, in order
    end(source)                        it has sent all that it promised
    hashed(job, digest)                a digest that an earlier step asked for
        -> list of steps, each to be acted on in order:

    HashJob     have this hashed elsewhere, and hand the digest to `hashed`
    Verified    readers may be woken
    Discarded   wrong bytes were thrown away; all from `keep_bytes` on is wanted again
    Blamed      this source sent, or announces, something wrong; nothing is thrown away now
    Refused     this transfer cannot go on, nobody is to blame
    Completed   all is there, and as verified as it can be
    AuditDue    all is there, and peers' bytes are to be audited (audited_assembly.py)

What a reader may see depends on what is known of the resource:

    block hashes      a byte whose whole block is right, whatever its source
    segment hash      the leading bytes of a single CDN except the last `hold_back_bytes`;
                      all else, peers' bytes above all, waits for the whole hash
    no hash           CDNs' bytes as they come; peers are refused, unless they are audited

Bytes are linear: a source goes on where the last one stopped, and a wrong block
takes everything behind it away.  A block with one contributor names its culprit
at once.  With several, the pieces are kept aside and compared when the right
block is known, so that nobody honest is ever blamed.

Memory: at most one segment, and one more of suspects.  Sources are named
"cdn:NAME" or "peer:ID".  Hashing, transfers and retries are left to others.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from .model import is_peer

__all__ = [
    "Assembly",
    "AuditDue",
    "Blamed",
    "Completed",
    "Discarded",
    "HashJob",
    "KnownDigests",
    "Refused",
    "SourceBytes",
    "Step",
    "Verified",
]

WHOLE = -1  # number of the job for a whole segment


class KnownDigests(Protocol):
    """What is known beforehand of the right bytes (integrity.Digests)."""

    @property
    def byte_count(self) -> int: ...
    @property
    def sha256(self) -> bytes: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def blocks(self) -> tuple[bytes, ...]: ...


class HashJob(msgspec.Struct, frozen=True):
    """`data` is to be hashed; `serial` tells a late digest of bytes thrown away meanwhile."""

    number: int  # of the block, or WHOLE
    serial: int
    first_byte: int
    data: bytes


class Verified(msgspec.Struct, frozen=True):
    readable_bytes: int


class Discarded(msgspec.Struct, frozen=True):
    """Either one source is blamed, or several are suspects until the right bytes are known."""

    keep_bytes: int
    blamed: str | None
    suspects: tuple[str, ...]  # who made the wrong block, in order of their bytes
    breaks_readers: bool  # wrong bytes were read already: end those readers short of their length


class Blamed(msgspec.Struct, frozen=True):
    source: str
    reason: str  # hash, length, audit


class Refused(msgspec.Struct, frozen=True):
    """`reason` is a word for TransferFailed: changed, differs, too_large, too_small, truncated, unhashed."""

    source: str
    reason: str


class Completed(msgspec.Struct, frozen=True):
    byte_count: int
    verified: str  # blocks, segment, audited, unverified


class AuditDue(msgspec.Struct, frozen=True):
    """All bytes are there, and those of peers are to be held against a CDN's before anybody reads them."""


Step = HashJob | Verified | Discarded | Blamed | Refused | Completed | AuditDue


class SourceBytes(msgspec.Struct):
    """What one source brought: bytes in use, and bytes thrown away or received twice."""

    used_bytes: int = 0
    wasted_bytes: int = 0


class _Span(msgspec.Struct):
    """Bytes from `start` to `end` came from `source`."""

    start: int
    end: int
    source: str


class _Suspect(msgspec.Struct):
    start: int
    source: str
    data: bytes


class Assembly:
    """The bytes of one resource, with who brought them and which of them are right."""

    def __init__(self, digests: KnownDigests | None, *, segment_bytes_max: int, hold_back_bytes: int) -> None:
        self._digests = digests
        self._segment_bytes_max = segment_bytes_max
        self._hold_back_bytes = hold_back_bytes
        # None without block hashes: then the whole is hashed.
        self._blocks = (digests.blocks or None) if digests is not None else None
        self._block_bytes = digests.block_bytes if digests is not None else 0
        if digests is not None and self._blocks is not None:
            assert self._block_bytes > 0, "block hashes need a block length"
            count = -(-digests.byte_count // self._block_bytes)
            assert len(self._blocks) == count, f"{len(self._blocks)} block hashes for {count} blocks"
        self._data = bytearray()
        self._spans: list[_Span] = []
        self._announced_bytes: int | None = None
        self._etag: str | None = None
        self._jobs: dict[int, int] = {}  # block number -> serial of its job, cut and not rolled back
        self._serial = 0
        self._right: set[int] = set()  # blocks with the right hash
        self._verified_blocks = 0  # leading blocks that are right
        self._suspects: dict[int, tuple[_Suspect, ...]] = {}
        self._blamed: dict[str, str] = {}
        self._was_wrong = False
        self._read_bytes = 0
        self._sources: dict[str, SourceBytes] = {}
        self.completed = False

    # --- what is known ---

    @property
    def end_bytes(self) -> int:
        """Bytes held, right or not yet known; a transfer goes on from here."""
        return len(self._data)

    @property
    def total_bytes(self) -> int | None:
        """Length of the whole resource, from the hashes or else from the source whose bytes are held."""
        return self._digests.byte_count if self._digests is not None else self._announced_bytes

    @property
    def hashed_bytes(self) -> int | None:
        """Length of the whole resource where the hashes say it."""
        return self._digests.byte_count if self._digests is not None else None

    @property
    def etag(self) -> str | None:
        """Validator of the bytes held, for a resume; None with hashes, which decide better."""
        return self._etag if self._digests is None else None

    @property
    def verified(self) -> str:
        """How the bytes are (to be) verified: blocks, segment or unverified."""
        if self._digests is None:
            return "unverified"
        return "segment" if self._blocks is None else "blocks"

    @property
    def readable_bytes(self) -> int:
        """Leading bytes that may reach the player."""
        if self.completed or self._digests is None:
            return len(self._data)
        if self._blocks is not None:
            return min(self._verified_blocks * self._block_bytes, self._digests.byte_count)
        if self._was_wrong or not self._spans or is_peer(self._spans[0].source):
            return 0
        return max(0, min(self._spans[0].end, self._digests.byte_count - self._hold_back_bytes))

    def sources(self) -> dict[str, SourceBytes]:
        """What each source brought, in the order in which they came; used bytes may still turn out wrong."""
        return self._sources

    def read(self, offset: int, byte_count: int) -> bytes:
        """Up to `byte_count` readable bytes from `offset`; empty when there are none yet."""
        end = min(offset + byte_count, self.readable_bytes)
        if end <= offset:
            return b""
        self._read_bytes = max(self._read_bytes, end)
        return bytes(memoryview(self._data)[offset:end])

    def take(self) -> bytes:
        """All bytes, once completed."""
        assert self.completed, "not completed yet"
        return bytes(self._data)

    # --- what happens ---

    def begin(self, source: str, total_bytes: int | None, etag: str | None) -> list[Step]:
        """A source said what it will send.  After Blamed or Refused its transfer is to be cancelled."""
        self._sources.setdefault(source, SourceBytes())
        if self._digests is not None:
            if total_bytes is not None and total_bytes != self._digests.byte_count:
                # As for wrong bytes, which it would send.  A peer of 2.3.1 checks nothing and passes on what its CDN or
                # its peers gave it, so an honest one may say so; but so may it send wrong bytes, and a liar would
                # choose what is forgiven.
                return self._blame(source, "length")
            if self._digests.byte_count > self._segment_bytes_max:
                return [Refused(source, "too_large")]
            return []
        if is_peer(source):
            return [Refused(source, "unhashed")]
        if total_bytes is not None and total_bytes > self._segment_bytes_max:
            return [Refused(source, "too_large")]
        if not self._data:  # nothing is held of the one before: this one's word counts
            self._announced_bytes, self._etag = total_bytes, etag
            return []
        both_lengths = self._announced_bytes is not None and total_bytes is not None
        both_etags = self._etag is not None and etag is not None
        if (both_lengths and total_bytes != self._announced_bytes) or (both_etags and etag != self._etag):
            return [Refused(source, "changed")]
        if self._announced_bytes is None:
            self._announced_bytes = total_bytes
        return []

    def add(self, source: str, data: bytes, offset: int) -> list[Step]:
        """Bytes of a transfer.  Bytes held already are compared and dropped (a server that ignored the range).

        Cost: one copy, and another of each block that is cut.  ValueError when
        `offset` leaves a gap, which is the caller's mistake.
        """
        if offset > len(self._data):
            raise ValueError(f"bytes at {offset} leave a gap after {len(self._data)}; resume from end_bytes")
        account = self._sources.setdefault(source, SourceBytes())
        if self.completed:
            account.wasted_bytes += len(data)
            return []
        if not self._may_take(source):
            account.wasted_bytes += len(data)
            return [Refused(source, "unhashed")]
        held = min(len(self._data) - offset, len(data))
        if held:
            account.wasted_bytes += held
            if self._data[offset : offset + held] != data[:held]:
                account.wasted_bytes += len(data) - held
                if offset < self._verified_bytes and self._differs(data[:held], offset):
                    return self._blame(source, "hash")
                # With hashes nobody knows yet whose bytes are wrong; without, the resource is another one there.
                return [Refused(source, "changed" if self._digests is None else "differs")]
            data = data[held:]
        limit = self._segment_bytes_max if self.total_bytes is None else self.total_bytes
        surplus = len(self._data) + len(data) - min(limit, self._segment_bytes_max)
        if surplus > 0:
            account.wasted_bytes += len(data)
            return self._blame(source, "length") if self._digests is not None else [Refused(source, "too_large")]
        if not data:
            return []
        before = self.readable_bytes
        self._append(source, data)
        account.used_bytes += len(data)
        steps: list[Step] = list(self._cut())
        if self.readable_bytes > before:
            steps.append(Verified(self.readable_bytes))
        if self._digests is None and len(self._data) == self._announced_bytes:
            steps += self._complete()
        return steps

    def end(self, source: str) -> list[Step]:
        """The source has sent all that it promised.  Without any announced length this is the whole."""
        total = self.total_bytes
        if self.completed:
            return []
        if total is not None and len(self._data) < total:
            return [Refused(source, "truncated")]
        if self._digests is None:
            self._announced_bytes = len(self._data)
            return self._complete()
        return list(self._cut())

    def hashed(self, job: HashJob, digest: bytes) -> list[Step]:
        """The SHA-256 of a job.  Late ones, of bytes thrown away since, are ignored."""
        if self.completed or self._jobs.get(job.number) != job.serial:
            return []
        assert self._digests is not None
        if job.number == WHOLE:
            if digest != self._digests.sha256:
                return self._discard(WHOLE, 0, len(self._data))
            return [*self._compare(WHOLE), *self._complete()]
        assert self._blocks is not None
        if digest != self._blocks[job.number]:
            return self._discard(job.number, job.first_byte, job.first_byte + len(job.data))
        before = self._verified_blocks
        self._right.add(job.number)
        while self._verified_blocks in self._right:
            self._verified_blocks += 1
        steps = self._compare(job.number)
        if self._verified_blocks > before:
            steps.append(Verified(self.readable_bytes))
        if self._verified_blocks == len(self._blocks):
            steps += self._complete()
        return steps

    # --- how ---

    def _may_take(self, source: str) -> bool:
        """Whether anything could tell wrong bytes of this source from right ones."""
        return self._digests is not None or not is_peer(source)

    @property
    def _verified_bytes(self) -> int:
        return self._verified_blocks * self._block_bytes if self._blocks is not None else 0

    def _differs(self, data: bytes, offset: int) -> bool:
        """Whether `data` contradicts bytes that are verified."""
        count = min(len(data), self._verified_bytes - offset)
        return count > 0 and self._data[offset : offset + count] != data[:count]

    def _append(self, source: str, data: bytes) -> None:
        start = len(self._data)
        self._data += data
        if self._spans and self._spans[-1].source == source:
            self._spans[-1].end = len(self._data)
        else:
            self._spans.append(_Span(start, len(self._data), source))

    def _cut(self) -> list[HashJob]:
        """Jobs for what became whole and is not being hashed yet."""
        if self._digests is None:
            return []
        total = self._digests.byte_count
        if self._blocks is None:
            if len(self._data) == total and WHOLE not in self._jobs:
                return [self._job(WHOLE, 0, total)]
            return []
        jobs = []
        number = len(self._jobs)  # blocks are cut in order, and rolled back from the end
        while number < len(self._blocks):
            start = number * self._block_bytes
            end = min(start + self._block_bytes, total)
            if len(self._data) < end:
                break
            jobs.append(self._job(number, start, end))
            number += 1
        return jobs

    def _job(self, number: int, start: int, end: int) -> HashJob:
        self._serial += 1
        self._jobs[number] = self._serial
        return HashJob(number, self._serial, start, bytes(memoryview(self._data)[start:end]))

    def _complete(self) -> list[Step]:
        self.completed = True
        self._suspects.clear()
        return [Completed(len(self._data), self.verified)]

    def _blame(self, source: str, reason: str) -> list[Step]:
        """Blame once; a source that is blamed already is only refused."""
        if source in self._blamed:
            return [Refused(source, "changed")]
        self._blamed[source] = reason
        return [Blamed(source, reason)]

    def _pieces(self, start: int, end: int) -> list[_Span]:
        return [
            _Span(max(s.start, start), min(s.end, end), s.source)
            for s in self._spans
            if s.start < end and s.end > start
        ]

    def _discard(self, number: int, start: int, end: int) -> list[Step]:
        """The bytes from `start` to `end` are wrong: blame or suspect, and roll back to `start`."""
        pieces = self._pieces(start, end)
        makers = tuple(dict.fromkeys(p.source for p in pieces))
        blamed = None
        if len(makers) == 1:
            if makers[0] not in self._blamed:
                blamed = makers[0]
                self._blamed[blamed] = "hash"
        elif number not in self._suspects:  # the first set is kept: one block's worth at most
            self._suspects[number] = tuple(
                _Suspect(p.start, p.source, bytes(memoryview(self._data)[p.start : p.end])) for p in pieces
            )
        breaks_readers = self._read_bytes > start
        self._was_wrong = True
        self._roll_back(start)
        return [Discarded(start, blamed, makers, breaks_readers)]

    def _roll_back(self, keep_bytes: int) -> None:
        for span in self._pieces(keep_bytes, len(self._data)):
            account = self._sources[span.source]
            account.used_bytes -= span.end - span.start
            account.wasted_bytes += span.end - span.start
        del self._data[keep_bytes:]
        self._spans = self._pieces(0, keep_bytes)
        self._read_bytes = min(self._read_bytes, keep_bytes)
        if self._blocks is None:
            self._jobs.clear()
            return
        first = keep_bytes // self._block_bytes
        self._jobs = {number: serial for number, serial in self._jobs.items() if number < first}
        self._right = {number for number in self._right if number < first}

    def _compare(self, number: int) -> list[Step]:
        """The right bytes of a block are here: whoever sent others for it is blamed."""
        steps: list[Step] = []
        for suspect in self._suspects.pop(number, ()):
            right = memoryview(self._data)[suspect.start : suspect.start + len(suspect.data)]
            if right != suspect.data and suspect.source not in self._blamed:
                self._blamed[suspect.source] = "hash"
                steps.append(Blamed(suspect.source, "hash"))
        return steps
