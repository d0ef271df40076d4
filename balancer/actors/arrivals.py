"""What comes from sources, into assemblies; and what assemblies say of it, to readers, the store and the policy.

    Cdn x n, Peer x n --started, bytes, ended, failed-->  Arrivals  --add, hashed, audited-->  Assembly
                                                             |      <--steps--------------------'
    Hashing, Cdn      --digests, audited ranges----------->  |
                                                             +--> readers, Storage, Policy, Reporter

A part of the session.  Each byte goes to its resource's assembly, which alone decides
whether it is right; the steps that follow from it (a block to hash, a source to blame, the
end) are carried out here.  Numbers of transfers from 0 on are the policy's; those below it
are ranges of a transfer that several peers share, which striping.py puts in order first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef

from .. import events
from ..assembly import Assembly, AuditDue, Blamed, Completed, Discarded, HashJob, Refused, Step, Verified
from ..events import (
    BytesDiscarded,
    Event,
    FetchFromCdn,
    RequestFromPeer,
    ResourceCompleted,
    SourceBlamed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)
from ..model import ResourceKey, is_peer
from . import messages as m
from . import reporter as r
from .neighbours import Neighbours
from .readers import wrong_after
from .resources import Resources
from .striping import Striping
from .transfers import Transfer, Transfers, Worker
from .trust import Trust

__all__ = ["Arrivals"]


class Arrivals:
    def __init__(
        self,
        session: Actor[Any],
        resources: Resources,
        *,
        decide: Callable[[Event], None],
        copies: Callable[[ResourceKey], int],
        trust: Trust,
        neighbours: Neighbours,
        transfers: Transfers,
        storage: ActorRef[Any],
        hashing: ActorRef[Any],
        reporter: ActorRef[Any],
    ) -> None:
        """`copies` tells how many peers hold a resource."""
        self._session = session
        self._resources = resources
        self._decide = decide
        self._copies = copies
        self._trust = trust
        self._neighbours = neighbours
        self._transfers = transfers
        self._storage = storage
        self._hashing = hashing
        self._reporter = reporter
        self._striping = Striping(session, transfers, neighbours, self, decide=decide, reporter=reporter)

    # -- transfers

    def begin(self, action: FetchFromCdn | RequestFromPeer, source: str, worker: Worker) -> Assembly:
        """Note a transfer that is about to start.  The policy counts bytes as the assembly does."""
        assembly = self._resources.assembly(action.key)
        assert action.first_byte == assembly.end_bytes, f"{action} while {assembly.end_bytes} bytes are held"
        transfer = Transfer(action.key, source, worker, action.first_byte)
        is_told = not (isinstance(action, RequestFromPeer) and action.beside)
        segment = self._resources.segments[action.key]
        self._transfers.begin(action.transfer, segment, transfer, action.why, self._session.now_us, is_told=is_told)
        return assembly

    def begin_striped(self, action: RequestFromPeer, source: str) -> None:
        """Begin one from several peers, which are asked here."""
        total_bytes = self._resources.assembly(action.key).total_bytes
        striped = self._striping.worker(action, self._resources.segments[action.key], total_bytes)
        self.begin(action, source, striped)
        self._striping.begin(striped)

    def data(self, number: int, data: bytes) -> None:
        """Bytes of a transfer, in order."""
        if number >= 0:
            self.comes(number, data)
        elif not self._striping.data(number, data):
            self._reporter.tell(r.Lost("late_transfer_bytes", len(data)))

    def heard(self, event: TransferStarted | TransferEnded | TransferFailed) -> None:
        if event.transfer >= 0:
            self._on_transfer(event)
        else:
            self._striping.heard(event)

    def look_at_stripes(self) -> None:
        self._striping.look()

    def comes(self, number: int, data: bytes, several: str | None = None) -> None:
        """Bytes of a transfer, in order; where several peers send, with which of them sent these."""
        transfer = self._transfers.find(number)
        if transfer is None:
            self._reporter.tell(r.Lost("late_transfer_bytes", len(data)))
            return
        key, offset = transfer.key, transfer.offset
        source = several or transfer.source
        self._transfers.grow(number, len(data), self._session.now_us)
        if is_peer(source):
            self._neighbours.choking.got(source.removeprefix("peer:"))
        assembly = self._resources.assembly(key)
        before = assembly.end_bytes
        steps = assembly.add(source, data, offset)
        grown = assembly.end_bytes - before
        repeated = max(0, min(len(data), before - offset))  # of a race
        if grown > 0 or repeated > 0:
            came_bytes = None if several is None else 0  # striping.py has told when they came
            self._decide(TransferProgressed(number, grown, came_bytes, repeated))
        self._follow(key, steps)

    def begins(self, key: ResourceKey, source: str, total_bytes: int) -> None:
        """One of several peers has said how long it is."""
        self._follow(key, self._resources.assembly(key).begin(source, total_bytes, None))

    def ends(self, event: TransferEnded | TransferFailed) -> None:
        """All of it has come from several peers, or the last of them has failed."""
        self._on_transfer(event)

    def _on_transfer(self, event: TransferStarted | TransferEnded | TransferFailed) -> None:
        transfer = self._transfers.find(event.transfer)
        if transfer is None:
            return  # cancelled meanwhile
        assembly = self._resources.assembly(transfer.key)
        match event:
            case TransferStarted(_, total_bytes):
                right_bytes = assembly.hashed_bytes
                if None not in {total_bytes, right_bytes} and total_bytes != right_bytes:
                    # Its source is to blame, and nobody waits for as many.
                    self._decide(msgspec.structs.replace(event, total_bytes=right_bytes))
                else:
                    self._decide(event)
                if self._transfers.find(event.transfer) is not None:
                    self._follow(transfer.key, assembly.begin(transfer.source, event.total_bytes, event.etag))
            case TransferEnded():
                steps = assembly.end(transfer.source)
                if not any(isinstance(step, Refused) for step in steps):
                    self._transfers.end(event.transfer, self._session.now_us)
                    self._decide(event)
                self._follow(transfer.key, steps)
            case TransferFailed():
                self._fail_transfer(event)

    def cancel(self, number: int, reason: str) -> None:
        """The policy wants no more of it."""
        cancelled = self._transfers.cancel(number, reason, self._session.now_us)
        if cancelled is not None:
            if reason == "stalled" and is_peer(cancelled.source):
                self._neighbours.choking.refused(cancelled.source.removeprefix("peer:"))
            self._resources.settle_empty(cancelled.key)

    def leave_stripes(self, peer: str) -> None:
        """It sends no more of what it shares with others."""
        self._striping.leave(peer)

    def fail_all_of(self, source: str, reason: str) -> None:
        for number in self._transfers.of_source(source):
            self._fail_transfer(TransferFailed(transfer=number, reason=reason))

    def _fail_transfer(self, failure: TransferFailed) -> None:
        transfer = self._transfers.fail(failure, self._session.now_us)
        if failure.reason == "absent":
            self._neighbours.choking.refused(transfer.source.removeprefix("peer:"))
        self._decide(failure)
        self._resources.settle_empty(transfer.key)

    def _stop_transfers(self, key: ResourceKey, source: str, reason: str) -> None:
        """Stop what `source` is sending for `key`, and tell the policy that it failed."""
        for number, transfer in self._transfers.of(key):
            if not self._striping.stop(number, source, reason) and transfer.source == source:
                transfer.worker.tell(m.Cancel(number))
                self._fail_transfer(TransferFailed(transfer=number, reason=reason))

    # -- what is learned of bytes that are here; `assembly` is the one that was asked about, and may have gone meanwhile

    def hashed(self, message: m.Hashed) -> None:
        key, assembly = message.key, message.assembly
        if self._resources.under_way(key) is assembly:
            self._follow(key, assembly.hashed(message.job, message.digest))

    def audited(self, answer: m.AuditAnswered | m.AuditUnanswered) -> None:
        event = self._trust.heard(answer)
        question = answer.question
        if self._resources.under_way(event.key) is not question.assembly:
            self._reporter.tell(r.Lost("audit_late"))
            return
        self._decide(event)
        if isinstance(answer, m.AuditAnswered):
            self._follow(event.key, question.assembly.audited(question.ranges, answer.answers, answer.total_bytes))

    def drop_unaudited(self, message: m.Unaudited) -> None:
        key, assembly = message.key, message.assembly
        if self._resources.under_way(key) is assembly:
            self._follow(key, assembly.drop_peers())

    def overran(self, key: ResourceKey, source: str) -> None:
        """Its body went on behind the end that is known."""
        segment = self._resources.segments.get(key)
        if segment is None or self._trust.digests(segment) is None:  # without hashes nobody knows who is right
            return
        self._note_blame(key, source, "length")
        self._decide(SourceBlamed(key=key, source=source, keep_bytes=self._resources.got_bytes(key)))

    # -- what assemblies say

    def _follow(self, key: ResourceKey, steps: Sequence[Step]) -> None:
        assembly = self._resources.under_way(key)
        for step in steps:
            match step:
                case HashJob() if assembly is not None:
                    self._hashing.tell(m.HashBlock(key=key, assembly=assembly, job=step))
                case Verified():
                    pass
                case Discarded():
                    self._on_discarded(key, step)
                case Blamed(source, reason):
                    self._blame(key, source, reason)
                case Refused(source, reason):
                    self._stop_transfers(key, source, reason)
                case Completed(byte_count, verified):
                    self._on_completed(key, byte_count, verified)
                case AuditDue():
                    self._on_audit_due(key)
        if assembly is not None and self._resources.under_way(key) is assembly:
            self._resources.give(key, assembly)

    def _on_discarded(self, key: ResourceKey, step: Discarded) -> None:
        if step.breaks_readers:
            self._reporter.tell(r.Lost("wrong_bytes_read"))
            self._resources.readers.break_off(key, wrong_after(key, step.keep_bytes), beyond=step.keep_bytes)
        for source in (step.blamed,) if step.blamed is not None else step.suspects:
            self._reporter.tell(r.Polluted(key, source, self._session.now_us))
        if step.blamed is not None:
            self._decide(SourceBlamed(key=key, source=step.blamed, keep_bytes=step.keep_bytes))
        else:
            self._decide(BytesDiscarded(key=key, suspects=step.suspects, keep_bytes=step.keep_bytes))

    def _blame(self, key: ResourceKey, source: str, reason: str) -> None:
        self._note_blame(key, source, reason)
        self._stop_transfers(key, source, "changed" if reason == "length" else "wrong")
        if reason != "length":
            self._reporter.tell(r.Polluted(key, source, self._session.now_us))
        self._decide(SourceBlamed(key=key, source=source, keep_bytes=self._resources.assembly(key).end_bytes))

    def _note_blame(self, key: ResourceKey, source: str, reason: str) -> None:
        text = f"{source} is to blame ({reason}) at {key.kind} {key.rendition}/{key.number}"
        self._reporter.tell(r.Happened(text, self._session.now_us))

    def _on_audit_due(self, key: ResourceKey) -> None:
        for number, _ in self._transfers.of(key):
            if self._transfers.find(number) is None:
                continue  # it raced with the one before, whose end stopped it
            # As on completion: the end of the last one is on the way, and nobody waits for it.
            self._transfers.end(number, self._session.now_us)
            self._decide(TransferEnded(transfer=number))
        self._decide(events.AuditDue(key=key))

    def _on_completed(self, key: ResourceKey, byte_count: int, verified: str) -> None:
        resources, now_us = self._resources, self._session.now_us
        assembly = resources.under_way(key)
        assert assembly is not None, "it has just completed"
        is_shareable = self._trust.is_shareable(key, verified)
        resources.give(key, assembly)
        copies = {held: count for held in resources.crowded(byte_count) if (count := self._copies(held))}
        self._storage.tell(m.Put(key=key, data=assembly.take(), shareable=is_shareable, copies=copies))
        resources.hold(key, byte_count, verified)
        for number, transfer in self._transfers.of(key):
            if transfer.offset >= byte_count:
                # Its end is on the way, and says nothing new; cancelling would only cost a connection.
                self._transfers.end(number, now_us)
            else:
                self._transfers.cancel(number, "raced", now_us)
        self._reporter.tell(r.Completed(key, byte_count, verified, now_us))
        resources.settle(key)
        self._decide(ResourceCompleted(key=key, byte_count=byte_count))
        if is_shareable:
            resources.offer(key)
