"""An assembly of a segment whose hash is known, and whose length nobody vouches for (peertube.py: live streams).

    begin, add, end, hashed        as in assembly.py; peers are taken

What a source says of the length is a claim until the hash of the whole is right.  A CDN's is
believed before a peer's, and nobody is blamed for the length alone: a CDN that gives an error's
page for a segment would have honest peers banned else.  Where a CDN contradicts what is held of
peers, in length or in bytes, theirs goes, and CDNs alone are taken until a hash has told who was
right: of two peers that contradict each other one could keep the other away for ever.

What readers may see: the leading bytes that came from CDNs, but for the last `hold_back_bytes`;
all else waits for the hash.
"""

from __future__ import annotations

import msgspec

from .assembly import WHOLE, Assembly, Discarded, HashJob, Refused, SourceBytes, Step
from .model import is_peer

__all__ = ["LengthlessAssembly"]


class _Whole(msgspec.Struct, frozen=True):
    """What all that is held has to be (assembly.KnownDigests)."""

    byte_count: int
    sha256: bytes
    block_bytes: int = 0
    blocks: tuple[bytes, ...] = ()


class LengthlessAssembly(Assembly):
    def __init__(self, sha256: bytes, *, segment_bytes_max: int, hold_back_bytes: int) -> None:
        super().__init__(None, segment_bytes_max=segment_bytes_max, hold_back_bytes=hold_back_bytes)
        self._sha256 = sha256
        self._claimed_bytes: int | None = None  # the length, in the words of the peers whose bytes are held
        self._distrusts_peers = False
        self._said_bytes: dict[str, int] = {}  # what each source has said of the length

    @property
    def verified(self) -> str:
        return "segment"

    @property
    def total_bytes(self) -> int | None:
        """As CDNs say it: a peer's word is not passed on."""
        return self._announced_bytes

    @property
    def etag(self) -> str | None:
        """None, as with any hash: it decides better."""
        return None

    @property
    def readable_bytes(self) -> int:
        if self.completed:
            return len(self._data)
        if self._was_wrong:
            return 0
        of_peers = next((span.start for span in self._spans if is_peer(span.source)), len(self._data))
        known_bytes = len(self._data) if self._announced_bytes is None else self._announced_bytes
        return max(self._read_bytes, min(of_peers, known_bytes - self._hold_back_bytes))

    # --- what happens ---

    def begin(self, source: str, total_bytes: int | None, etag: str | None) -> list[Step]:
        self._sources.setdefault(source, SourceBytes())
        if self._is_being_hashed or self.completed:
            return []
        if total_bytes is not None:
            self._said_bytes[source] = total_bytes
        if total_bytes is not None and total_bytes > self._segment_bytes_max:
            return [Refused(source, "too_large")]
        if is_peer(source):
            return self._begin_peer(source, total_bytes)
        if total_bytes is not None and self._holds_of_peers and total_bytes != self._claimed_bytes:
            return self._drop_peers()
        if total_bytes is not None and total_bytes < len(self._data):
            return [Refused(source, "changed")]  # another CDN has sent more, and never said how much
        # ETags of honest CDNs differ, and the hash decides whether they have the same file.
        return super().begin(source, total_bytes, None)

    def _begin_peer(self, source: str, total_bytes: int | None) -> list[Step]:
        if self._distrusts_peers or total_bytes is None:
            return [Refused(source, "unhashed")]
        said = self._claimed_bytes if self._holds_of_peers else self._announced_bytes
        if said is not None and total_bytes != said:
            return [Refused(source, "changed")]
        self._claimed_bytes = total_bytes
        return []

    def add(self, source: str, data: bytes, offset: int) -> list[Step]:
        if self._is_being_hashed:
            self._sources.setdefault(source, SourceBytes()).wasted_bytes += len(data)
            return []
        held = min(len(self._data) - offset, len(data))
        if held > 0 and not self.completed and self._data[offset : offset + held] != data[:held]:
            # Nobody knows yet whose bytes are wrong.
            self._sources.setdefault(source, SourceBytes()).wasted_bytes += len(data)
            if is_peer(source) or not self._holds_of_peers:
                return [Refused(source, "differs")]
            return self._drop_peers()
        return super().add(source, data, offset)

    def end(self, source: str) -> list[Step]:
        if self._is_being_hashed or self.completed:
            return []
        total = self._claimed_bytes if self._holds_of_peers else self._announced_bytes
        if total is not None and len(self._data) < total:
            return [Refused(source, "truncated")]
        if total is not None and len(self._data) > total:
            return self._drop_peers()  # a CDN that never said how much: more than peers claim
        self._said_bytes.setdefault(source, len(self._data))
        return self._complete()

    def hashed(self, job: HashJob, digest: bytes) -> list[Step]:
        is_of_now = self._jobs.get(job.number) == job.serial
        steps = super().hashed(job, digest)
        if is_of_now and not self.completed:
            self._start_anew()
        return steps

    # --- how ---

    @property
    def _is_being_hashed(self) -> bool:
        return WHOLE in self._jobs and not self.completed

    @property
    def _holds_of_peers(self) -> bool:
        return any(is_peer(span.source) for span in self._spans)

    def _may_take(self, source: str) -> bool:
        return not (is_peer(source) and self._distrusts_peers)

    def _complete(self) -> list[Step]:
        if self._digests is not None:
            return super()._complete()
        self._digests = _Whole(len(self._data), self._sha256)
        return list(self._cut())

    def _discard(self, number: int, start: int, end: int) -> list[Step]:
        """The hash is wrong.  Of one that made it all, perhaps only because another said that this was all."""
        makers = tuple(dict.fromkeys(span.source for span in self._spans))
        if len(makers) != 1 or self._said_bytes.get(makers[0]) == end:
            return super()._discard(number, start, end)
        breaks_readers = self._read_bytes > start
        self._was_wrong = True
        self._roll_back(start)
        who = tuple(source for source, said in self._said_bytes.items() if said == end)
        return [Discarded(start, None, (*makers, *who), breaks_readers)]

    def _drop_peers(self) -> list[Step]:
        keep_bytes = next(span.start for span in self._spans if is_peer(span.source))
        self._roll_back(keep_bytes)
        self._claimed_bytes = None
        self._distrusts_peers = True
        return [Discarded(keep_bytes, None, (), False)]

    def _start_anew(self) -> None:
        """The hash was wrong, and so may be what was said of the length."""
        self._digests = None
        self._announced_bytes = self._claimed_bytes = None
        self._said_bytes.clear()
        self._distrusts_peers = False
