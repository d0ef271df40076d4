"""An assembly of a segment without hashes whose peers' bytes are audited (audit.py).

    begin, add, end                as in assembly.py; peers are taken, and what they send is kept from readers
    audit(numbers)                 after AuditDue: which ranges a CDN is to be asked for; none if that costs too much.
                                   `numbers_wanted` says how many numbers it needs
    audited(...)                   what it answered -> Completed, or Discarded with whoever is to blame
    audit_failed(...)              it did not answer; another may be asked
    drop_peers()                   nobody can tell: peers' bytes go, and nobody is blamed

A CDN's word on the length counts, a peer's is a claim.  A peer whose claim a CDN
contradicts is to blame as for wrong bytes; between two peers that contradict each
other the first is believed for the time being, since the CDN will tell.

What readers may see: the leading bytes that came from CDNs.  After an audit that
found something wrong no peer is taken again: the rest comes from CDNs.
"""

from __future__ import annotations

from collections.abc import Sequence

from .assembly import Assembly, AuditDue, Blamed, Completed, Discarded, Refused, SourceBytes, Step
from .audit import HEAD_BYTES, RANGE_BYTES_MIN, budget_bytes, cost_of, numbers_wanted, ranges_of
from .model import ByteRange, is_peer

__all__ = ["AuditedAssembly"]


class AuditedAssembly(Assembly):
    def __init__(self, *, segment_bytes_max: int, known_bytes: int | None, share: float, ranges_max: int) -> None:
        """`known_bytes` is the length if a playlist says it (a byte range); `share` of peers' bytes is the budget."""
        super().__init__(None, segment_bytes_max=segment_bytes_max, hold_back_bytes=1)
        self._announced_bytes = known_bytes
        self._share = share
        self._ranges_max = ranges_max
        self._claimed_bytes: int | None = None  # the length, in the words of the peers whose bytes are held
        self._distrusts_peers = False
        self._is_due = False
        self._spent_bytes = 0

    @property
    def verified(self) -> str:
        return "audited" if self._pieces_of_peers() else "unverified"

    @property
    def readable_bytes(self) -> int:
        if self.completed:
            return len(self._data)
        pieces = self._pieces_of_peers()
        return pieces[0].offset if pieces else len(self._data)

    # --- what happens ---

    def begin(self, source: str, total_bytes: int | None, etag: str | None) -> list[Step]:
        if is_peer(source):
            return self._begin_peer(source, total_bytes)
        if total_bytes is not None and total_bytes != self._claimed_bytes and self._pieces_of_peers():
            return self._reject(self._peers(), "length")
        steps = super().begin(source, total_bytes, etag)
        if self._etag is None and not steps:  # what is held is of peers, which have none
            self._etag = etag
        return steps

    def _begin_peer(self, source: str, total_bytes: int | None) -> list[Step]:
        self._sources.setdefault(source, SourceBytes())
        if self._distrusts_peers or total_bytes is None:
            return [Refused(source, "unhashed")]
        if total_bytes > self._segment_bytes_max:
            return [Refused(source, "too_large")]
        if self._announced_bytes is not None and total_bytes != self._announced_bytes:
            return self._blame(source, "length")
        if self._pieces_of_peers() and total_bytes != self._claimed_bytes:
            return [Refused(source, "changed")]
        if budget_bytes(total_bytes - len(self._data), self._share) < HEAD_BYTES + RANGE_BYTES_MIN:
            return [Refused(source, "too_small")]
        self._claimed_bytes = total_bytes
        return []

    def end(self, source: str) -> list[Step]:
        if self.completed:
            return []
        total = self._announced_bytes
        if total is None and self._pieces_of_peers():
            total = self._claimed_bytes
        if total is not None and len(self._data) < total:
            return [Refused(source, "truncated")]
        if not is_peer(source):
            if total is not None and len(self._data) != total:
                return self.drop_peers()  # it never said how much: more than peers claim, and nobody knows who is right
            self._announced_bytes = len(self._data)
        return self._complete()

    # --- the audit ---

    @property
    def numbers_wanted(self) -> int:
        return numbers_wanted(self._pieces_of_peers(), self._ranges_max)

    def audit(self, numbers: Sequence[int]) -> tuple[ByteRange, ...]:
        """The ranges that a CDN is to be asked for; `numbers` are random and of 64 bits.  None: too costly."""
        pieces = self._pieces_of_peers()
        budget = budget_bytes(sum(piece.length for piece in pieces), self._share)
        ranges = ranges_of(pieces, budget - self._spent_bytes, numbers, self._ranges_max)
        self._spent_bytes += cost_of(ranges)
        return ranges

    def audit_failed(self, ranges: Sequence[ByteRange], byte_count: int) -> None:
        """The CDN did not say; `byte_count` is what came of the bodies."""
        self._give_back(ranges, byte_count)

    def audited(self, ranges: Sequence[ByteRange], answers: Sequence[bytes], total_bytes: int) -> list[Step]:
        """What the CDN has in these ranges, whole, and how long the resource is there."""
        self._give_back(ranges, sum(map(len, answers)))
        if not self._is_due:
            return []
        if total_bytes != len(self._data):
            return self._reject(self._peers(), "length")
        wrong: dict[str, None] = {}
        for asked, answer in zip(ranges, answers, strict=True):
            assert len(answer) == asked.length, f"{len(answer)} bytes for {asked}"
            for piece in self._pieces(asked.offset, asked.offset + asked.length):
                right = answer[piece.start - asked.offset : piece.end - asked.offset]
                if self._data[piece.start : piece.end] != right:
                    wrong[piece.source] = None
        if wrong:
            return self._reject(tuple(wrong), "audit")
        self.completed = True
        return [Completed(len(self._data), "audited")]

    def drop_peers(self) -> list[Step]:
        """Nobody can tell whether peers' bytes are right: they go, and CDNs bring them."""
        return self._reject((), "")

    # --- how ---

    def _may_take(self, source: str) -> bool:
        return not (is_peer(source) and self._distrusts_peers)

    def _complete(self) -> list[Step]:
        if not self._pieces_of_peers():
            return super()._complete()
        if self._is_due:
            return []
        self._is_due = True
        return [AuditDue()]

    def _pieces_of_peers(self) -> list[ByteRange]:
        return [ByteRange(s.start, s.end - s.start) for s in self._spans if is_peer(s.source)]

    def _peers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(span.source for span in self._spans if is_peer(span.source)))

    def _reject(self, blamed: Sequence[str], reason: str) -> list[Step]:
        """All from the first byte of a peer on goes; nobody has read of it."""
        keep_bytes = self.readable_bytes
        makers = self._peers()
        self._roll_back(keep_bytes)
        self._distrusts_peers = True
        self._is_due = False
        self._claimed_bytes = None
        fresh = [source for source in blamed if source not in self._blamed]
        self._blamed.update(dict.fromkeys(fresh, reason))
        steps: list[Step] = [Discarded(keep_bytes, fresh[0] if fresh else None, makers if blamed else (), False)]
        return steps + [Blamed(source, reason) for source in fresh[1:]]

    def _give_back(self, ranges: Sequence[ByteRange], byte_count: int) -> None:
        """Of what was set aside for these ranges, what they did not cost."""
        self._spent_bytes -= cost_of(ranges) - HEAD_BYTES * len(ranges) - byte_count
