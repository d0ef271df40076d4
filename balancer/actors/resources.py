"""The resources of a session: what playlists name, who reads it, and where its bytes are.

A part of the session.  A resource that is named may at one time be, in any mixture:

    read        somebody has opened it, and has not let it go
    sought      on the disk that sessions share; the answer is on its way, and no source is asked before
    under way   it has an assembly: bytes come, or have come and are still being read
    held        the store has all of it

What is asked of sources is the policy's to say, which hears of every change here.
What comes from them, and what assemblies say of it, is in arrivals.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shoal.runtime import Actor, ActorRef, Reply

from ..assembly import Assembly
from ..errors import UnknownResource
from ..events import (
    Event,
    ResourceCompleted,
    ResourceDropped,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    SwarmJoined,
)
from ..model import Kind, ResourceKey, Segment
from ..rechecks import Rechecks, Verdict
from . import messages as m
from . import reporter as r
from .hinted import Hinted
from .neighbours import Neighbours
from .parts import SessionParts
from .readers import Readers, went, wrong_after
from .transfers import Transfers
from .trust import Trust

__all__ = ["Resources"]

_TIMED = frozenset({Kind.MEDIA, Kind.PART})  # what plays at some time, and so has a deadline


class Resources:
    def __init__(
        self,
        session: Actor[Any],
        parts: SessionParts,
        *,
        decide: Callable[[Event], None],
        deadline_us: Callable[[ResourceKey], int | None],
        trust: Trust,
        neighbours: Neighbours,
        transfers: Transfers,
        storage: ActorRef[Any],
        reporter: ActorRef[Any],
        collecting: ActorRef[Any] | None,
    ) -> None:
        self._session = session
        self._config = parts.config
        self._has_shelf = parts.shelf is not None
        self._decide = decide
        self._deadline_us = deadline_us
        self._trust = trust
        self._neighbours = neighbours
        self._transfers = transfers
        self._storage = storage
        self._reporter = reporter
        self._collecting = collecting
        self._segments: dict[ResourceKey, Segment] = {}
        self._assemblies: dict[ResourceKey, Assembly] = {}
        self._hinted = Hinted()
        self._held: dict[ResourceKey, int] = {}  # byte count
        self._rechecks = Rechecks()
        self._sought: set[ResourceKey] = set()
        self.readers = Readers()

    @property
    def segments(self) -> Mapping[ResourceKey, Segment]:
        """All that are named, and those that are read although their playlist has dropped them."""
        return self._segments

    def assembly(self, key: ResourceKey) -> Assembly:
        """Its assembly, which begins now if there is none."""
        assembly = self._assemblies.get(key)
        if assembly is None:
            assembly = self._assemblies[key] = self._trust.assembly(self._segments[key])
        return assembly

    def under_way(self, key: ResourceKey) -> Assembly | None:
        """Its assembly, if there is one."""
        return self._assemblies.get(key)

    def got_bytes(self, key: ResourceKey) -> int:
        """How much of it has come, and is kept."""
        assembly = self._assemblies.get(key)
        return self._held.get(key, 0) if assembly is None else assembly.end_bytes

    # -- readers

    def open(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        segment = self._segments.get(key)
        if segment is None:
            if not self._hinted.take(key, reader, reply):
                reply.fail(
                    UnknownResource(f"{key} is in no playlist of this session; it may have left a live one", key=key)
                )
            return
        self._reporter.tell(r.Requested(segment, self._session.now_us, self._held.get(key)))
        if self._collecting is not None and key.kind in _TIMED:
            self._collecting.tell(self._asked(segment))
        may_use_peers = key.kind is Kind.MEDIA and self._trust.allows_peers
        if may_use_peers and self._neighbours.join(key.rendition):
            self._decide(SwarmJoined(key.rendition))
        if key in self._held and key not in self._assemblies:
            self._decide(ResourceRequested(key=key))
            self._storage.tell(m.GiveWhole(key, reader, reply))
        else:
            self._open(key, reader, reply)

    def _asked(self, segment: Segment) -> m.Asked:
        key = segment.key
        assembly = self._assemblies.get(key)
        is_there = key in self._held or (assembly is not None and assembly.completed)
        has_next = ResourceKey(key.rendition, key.kind, key.number + 1) in self._segments
        return m.Asked(segment, self._deadline_us(key), is_there, has_next)

    def not_whole(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        """The store could not give it whole to one who has opened it."""
        if not reply.is_waiting:
            return  # its reader has gone, and what it said on going came before this: nobody would close it again
        if key not in self._segments:
            reply.fail(UnknownResource(f"{key} has left its playlist, and the store; load the playlist again", key=key))
            return
        self._open(key, reader, reply)

    def _open(self, key: ResourceKey, reader: int, reply: Reply) -> None:
        """It is to be read piece by piece, as it comes."""
        if key not in self.readers:
            self._storage.tell(m.Pin(key))
        self.readers.open(key, reader)
        assembly = self._assemblies.get(key)
        if key not in self._sought and (key in self._held or assembly is None or not assembly.completed):
            self._decide(ResourceRequested(key=key))
        reply.set(None)

    def read(self, read: m.Read, reply: Reply) -> None:
        key, offset = read.key, read.offset
        reader = self.readers.find(key, read.reader)
        if reader is None:
            reply.fail(UnknownResource(f"{key} is read without having been opened", key=key))
            return
        if reader.broken is not None:
            reply.fail(reader.broken)
            return
        reader.offset = offset
        if key not in self._assemblies:
            if key in self._held:
                self._storage.tell(m.ReadStored(key, read.reader, offset, self._config.piece_bytes_max, reply))
                return
            if offset and self._trust.digests(self._segments[key]) is None:
                reply.fail(went(key))
                return
        assembly = self.assembly(key)
        reader.reply = reply
        if not assembly.completed and key not in self._sought:
            self._decide(ResourceRequested(key=key))
        self.give(key, assembly)

    def give(self, key: ResourceKey, assembly: Assembly) -> None:
        """Answer whoever waits for bytes that may be read now."""
        self.readers.give(key, assembly, self._config.piece_bytes_max)

    def release(self, key: ResourceKey, reader: int) -> None:
        if not self.readers.close(key, reader):
            return
        self._storage.tell(m.Unpin(key))
        if self._collecting is not None:
            self._collecting.tell(m.Left(key))
        assembly = self._assemblies.get(key)
        if assembly is not None and assembly.completed:
            del self._assemblies[key]
        self._decide(ResourceReleased(key=key))
        self.settle_empty(key)

    # -- what a playlist names

    def listed(self, listed: m.Listed) -> None:
        rendition = listed.rendition
        if listed.is_restarted:
            self._forget(rendition)
        now = {segment.key for segment in listed.segments}
        gone = [key for key in self._segments if key.rendition == rendition and key not in now]
        passed = self._hinted.passed(rendition, (key for key in gone if key.kind is Kind.PART))
        for key in gone:
            # A reader may still be at a segment that has just left a live window.
            is_over = key.kind is not Kind.PART or key in passed
            if is_over and key not in self.readers and key not in self._held:
                del self._segments[key]
        if unread := tuple(key for key in passed if key in self._held and key not in self.readers):
            self._storage.tell(m.Passed(unread))
        self._segments.update((segment.key, segment) for segment in listed.segments)
        numbers = (key.number for key in now if key.kind is Kind.MEDIA)
        self._neighbours.listed(rendition, None if listed.is_live else numbers)
        self._seek(listed.segments)
        timed = tuple(
            self._trust.listed(segment, self._assemblies.get(segment.key))
            for segment in listed.segments
            if segment.key.kind in _TIMED
        )
        self._decide(
            SegmentsListed(
                rendition=rendition,
                segments=timed,
                is_live=listed.is_live,
                is_restarted=listed.is_restarted,
            )
        )
        for key, reader, reply in self._hinted.listed(listed):
            self.open(key, reader, reply)

    def _forget(self, rendition: int) -> None:
        """The stream began anew under the same numbers: what is held or on its way is of the old one.

        The policy is told with the new listing, and cancels the transfers.
        """
        text = f"rendition {rendition} began anew; what was held of it is void"
        self._reporter.tell(r.Happened(text, self._session.now_us))
        error = UnknownResource(f"rendition {rendition} began anew; load its playlist again")
        for key in [key for key in self._segments if key.rendition == rendition]:
            self.readers.break_off(key, error)
            self.settle(key, wasted=True)
            self._assemblies.pop(key, None)
            self._held.pop(key, None)
            self._rechecks.gone(key)
            del self._segments[key]
        self._storage.tell(m.Discard(rendition))
        self._neighbours.drop_all(rendition)

    # -- what lies on the disk that sessions share

    def _seek(self, segments: Sequence[Segment]) -> None:
        """See whether what a hash names lies on our disk already."""
        if not self._has_shelf:
            return
        wanted = {
            segment.key: digests
            for segment in segments
            if segment.key not in self._held and (digests := self._trust.digests(segment)) is not None
        }
        if wanted:
            self._sought.update(wanted)
            self._storage.tell(m.Seek(wanted))
            self._session.start_timer("seek", m.SeekLate(), delay_us=self._config.store_seek_us)

    def found(self, answer: m.Sought) -> None:
        """Whoever shares our disk has left these there.  What came of them already is not stopped for it."""
        for key, byte_count in answer.byte_counts.items():
            assembly = self._assemblies.get(key)
            if key not in self._segments or key in self._held or (assembly is not None and assembly.end_bytes):
                continue
            self._assemblies.pop(key, None)
            self.hold(key, byte_count, "segment")
            self._decide(ResourceCompleted(key=key, byte_count=byte_count))
            if key.kind is Kind.MEDIA:
                self.offer(key)
            for reader, offset, reply in self.readers.take_questions(key):
                self._storage.tell(m.ReadStored(key, reader, offset, self._config.piece_bytes_max, reply))
        self._stop_seeking(answer.sought)

    def stop_seeking(self) -> None:
        """The disk has not answered in time."""
        self._stop_seeking(tuple(self._sought))

    def _stop_seeking(self, keys: Sequence[ResourceKey]) -> None:
        """Who waited for these to be found waits for a source from now on."""
        for key in keys:
            if key in self._sought:
                self._sought.discard(key)
                if key in self.readers and key not in self._held:
                    self._decide(ResourceRequested(key=key))

    # -- what is held

    def hold(self, key: ResourceKey, byte_count: int, verified: str) -> None:
        """The store has it, or is about to."""
        self._held[key] = byte_count
        if key.kind is Kind.MEDIA and verified in {"unverified", "audited"}:  # what else is there nobody is offered
            self._rechecks.held(key, is_hashed=self._sha256(key) is not None)
            self._recheck_next()
        else:
            self._rechecks.gone(key)

    def offer(self, key: ResourceKey) -> None:
        """It is held, and peers may have it."""
        self._neighbours.hold(key, self._trust.sha256(self._segments.get(key)))

    def dropped(self, keys: Sequence[ResourceKey]) -> None:
        """The store let them go."""
        for key in keys:
            self._held.pop(key, None)
            self._rechecks.gone(key)
            self._neighbours.drop(key)
            self._decide(ResourceDropped(key=key))

    def crowded(self, byte_count: int) -> list[ResourceKey]:
        """Media that is held, of which something may have to go for so many bytes more; empty while there is room."""
        if not self._has_shelf and sum(self._held.values()) + byte_count <= self._config.store_bytes_max:
            return []
        return [key for key in self._held if key.kind is Kind.MEDIA]

    # -- hashes that came after what they speak of

    def _sha256(self, key: ResourceKey) -> bytes | None:
        return self._trust.sha256(self._segments.get(key))

    def recheck(self) -> None:
        """See whether what is held without a hash is right, as far as there are hashes now."""
        self._rechecks.look(self._sha256)
        self._recheck_next()

    def _recheck_next(self) -> None:
        for check in self._rechecks.next():
            self._storage.tell(m.Recheck(check))

    def rechecked(self, message: m.HeldHashed) -> None:
        key = message.check.key
        match self._rechecks.hashed(message.check, message.digest, self._sha256(key)):
            case Verdict.RIGHT:
                self._storage.tell(m.Vouched(key))
                self._reporter.tell(r.Proved(key))
                self.offer(key)
            case Verdict.WRONG:
                self._withdraw(key)
        self._recheck_next()

    def _withdraw(self, key: ResourceKey) -> None:
        """What is held is another version, or was spoiled; who reads it may have some of it, and must not go on."""
        self._reporter.tell(r.Lost("held_wrong"))
        text = (
            f"{key.kind.value} {key.rendition}/{key.number} was held, and is not what its hash says, which came later"
        )
        self._reporter.tell(r.Happened(text, self._session.now_us))
        self.readers.break_off(key, wrong_after(key, 0))
        self._assemblies.pop(key, None)  # completed, and kept for its readers alone
        self._storage.tell(m.Wrong(key))

    # -- ends of assemblies

    def settle(self, key: ResourceKey, *, wasted: bool = False) -> None:
        """The bytes of `key` leave its assembly: into the store, or (`wasted`) nowhere.

        A completed assembly stays until its readers are done, so that they need not care what the store lets go.
        """
        assembly = self._assemblies.get(key)
        if assembly is None or (wasted and assembly.completed):
            return
        if wasted and assembly.verified in {"unverified", "audited"}:
            # What comes next may be another version, and nothing would tell.
            self.readers.break_off(key, went(key), beyond=0)
        if wasted or key not in self.readers:
            del self._assemblies[key]
        if assembly.sources():
            accounts = {
                label: (0, account.used_bytes + account.wasted_bytes)
                if wasted
                else (account.used_bytes, account.wasted_bytes)
                for label, account in assembly.sources().items()
            }
            self._reporter.tell(r.Accounts(key, accounts))

    def settle_empty(self, key: ResourceKey) -> None:
        """Nobody waits for `key`, and nothing of it is held or on its way: the policy says no more of it."""
        assembly = self._assemblies.get(key)
        if assembly is None or assembly.end_bytes or key in self.readers:
            return
        if not self._transfers.of(key):
            self.settle(key, wasted=True)
