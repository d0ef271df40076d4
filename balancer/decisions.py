"""What follows from the state of things: moves, sources for those who wait, prefetches.

`Decisions.take` is run after each event that may have changed something, and when
the time comes that it asked for.  It looks at everything running and wanted, in
that order: what is freed by a move can be used at once.

Where nothing is new it looks at what runs, and leaves the rest to the moment that it asked for when it looked at that
last: while only peers send, what comes changes nothing that is planned, unless something waits for room on the line.
A CDN that sends shows how soon a CDN must be asked.
"""

from __future__ import annotations

from operator import itemgetter

from .bandwidth import total
from .cdn_choice import Cdn
from .events import GiveUp
from .ledger import Ledger
from .model import ResourceKey, Segment
from .peer_choice import Peer
from .racing import Races
from .selection import Selection
from .surplus import Surplus
from .transfers import WANTED, Transfer, Want
from .trials import Trials
from .windows import Timeline

__all__ = ["Decisions"]

_LONELY_PATIENCE = 4  # times the limit, when there is nowhere else to go; then the same source is asked anew
_STARTUP_LONG = 4  # times the patience: a start that takes longer is worth a new connection to find who is faster
_first = itemgetter(0)
_SLICE_US_MIN = 200_000  # a shorter slice measures bursts, not a source
_PROJECTION_US_MIN = 400_000  # from a shorter stretch of body no finish is projected
# With so long until it plays nothing is lost by staying with who is cheaper, or waiting for it: what is left outlasts
# an outage of the line and two tries.  Players keep 30 s.
_LEISURE_US = 10_000_000
_PATIENT_US = 3_000_000  # a line is rarely out for longer; a source that is silent for longer is dead
_STEADY_SHARE = 0.5  # of what a line carries on average it surely carries, if it is steady
_PATIENT_PART = 6  # of the time until it plays
_PLAN_US_MAX = 1_000_000  # so long after the last whole look it is one again: a peer that failed may be asked again


Window = dict[ResourceKey, tuple[Segment, Timeline]]  # what will be wanted soon


class _Ahead:
    """A segment that nobody waits for yet, and nobody sends."""

    __slots__ = ("deadline_us", "segment", "size_bytes", "timeline", "want")

    def __init__(
        self, want: Want, segment: Segment, timeline: Timeline, deadline_us: int | None, size_bytes: int
    ) -> None:
        self.want = want
        self.segment = segment
        self.timeline = timeline
        self.deadline_us = deadline_us
        self.size_bytes = size_bytes


class Decisions:
    __slots__ = (
        "_book",
        "_is_crowded",
        "_plan_us",
        "_planned_us",
        "_races",
        "_safe_bytes",
        "_safe_for_us",
        "_select",
        "_surplus",
        "_trials",
    )

    def __init__(self, book: Ledger, races: Races, trials: Trials) -> None:
        self._book = book
        self._races = races
        self._trials = trials
        self._select = Selection(
            book.config,
            seed=book.seed,
            cdns=book.cdns,
            peers=book.peers,
            availability=book.availability,
            reputation=book.reputation,
            line=book.line,
            is_shared=book.is_shared,
        )
        self._surplus = Surplus(book)
        self._safe_bytes = -1  # of which `_safe_us` was asked last, until something is looked at anew
        self._safe_for_us = 0
        self._planned_us = 0  # when all was looked at
        self._plan_us: int | None = None  # when all is to be looked at next, as it looked then
        self._is_crowded = True  # something is not begun for want of room on the line, or nothing was looked at yet

    def rank_peers(self, priority: int) -> None:
        """They are asked only while no CDN of a lower one can be; what runs is left as it is."""
        self._select.peers_priority = priority

    def take(self, now_us: int, is_news: bool = True) -> None:
        """Act on everything that is due; `wake_us` of the ledger is then the next moment to look.

        `is_news`: something has happened other than that time passed and bytes came.
        """
        self._book.wake_us = None
        is_flowing = is_full = is_cdn = False
        for transfer in self._book.transfers.values():
            is_cdn = is_cdn or not transfer.is_peer
            if transfer.first_byte_us is not None:
                is_flowing = True
                is_full = is_full or (not transfer.is_peer and transfer.grows_until_us <= now_us)
        self._book.line.look(now_us, is_flowing, is_full)
        self._look_anew()
        for transfer in tuple(self._book.transfers.values()):
            if transfer.number in self._book.transfers:  # else it lost a race just now
                self._supervise(transfer, now_us)
        if self._book.transfers:
            self._look_anew()  # who was supervised has other figures now
        if not is_news and not is_cdn and not self._book.actions and self._is_plan_good(now_us):
            self._yield(now_us)
            if not self._book.actions:
                if self._plan_us is not None:
                    self._book.later(self._plan_us, now_us)
                return
        running_us, self._book.wake_us = self._book.wake_us, None
        self._plan(now_us)
        self._planned_us, self._plan_us = now_us, self._book.wake_us
        if running_us is not None:
            self._book.later(running_us, now_us)

    def _is_plan_good(self, now_us: int) -> bool:
        """Whether what was decided at the last whole look stands, as long as nothing new happens."""
        if self._is_crowded or now_us - self._planned_us >= _PLAN_US_MAX:
            return False
        return self._plan_us is None or now_us < self._plan_us

    def _plan(self, now_us: int) -> None:
        """Find sources for what is wanted now, and soon."""
        if self._book.busy_until_us > now_us:
            self._book.later(self._book.busy_until_us, now_us)
        for key in tuple(self._book.open):
            want = self._book.wants[key]
            if want.urgent and want.phase is WANTED:
                self._serve(want, now_us)
        window: Window = {}
        for rendition in sorted(self._book.timelines):
            timeline = self._book.timelines[rendition]
            for segment in timeline.ahead(now_us):
                window[segment.key] = (segment, timeline)
        self._book.spread.keep(window)
        self._release(window, now_us)
        self._yield(now_us)
        self._prefetch(window, now_us)

    def may_ask(self, peer: Peer, key: ResourceKey, want: Want | None, timeline: Timeline, now_us: int) -> bool:
        """Whether a peer that has just got what is wanted may be asked for it now; where that is not sure, it may.

        Cost: this one peer's estimate, where a look at everything costs those of all who hold it.
        """
        if peer.transfer is not None or peer.cooldown_until_us > now_us or peer.busy_until_us > now_us:
            return False
        segment = timeline.find(key)
        deadline_us = None if segment is None else timeline.starts_us(segment)
        if segment is None or deadline_us is None or peer.estimate.sampled_us is None or peer.is_greeted:
            return True
        size_bytes = self._book.size_bytes(Want(key) if want is None else want, segment)
        if self._select.expected(size_bytes, now_us, None) is None:
            return True  # no CDN is left, so that a late peer is better than none
        if peer.is_forgiven(now_us, self._book.config.retry_peer_us):
            return True
        return peer.expected_us(size_bytes, now_us, self._book.config) <= deadline_us - now_us

    def _look_anew(self) -> None:
        self._select.look_anew()
        self._safe_bytes = -1

    def _supervise(self, transfer: Transfer, now_us: int) -> None:
        """Move a transfer that is silent, or too slow while another source would do better; or let the two race."""
        want = transfer.want
        if want.accusation is not None:
            self._trials.hear(transfer, now_us)
        is_held = (
            not transfer.is_peer
            and self._trials.hold_until_us > now_us
            and not (self._book.peers and self._select.have_all_failed(want, now_us, transfer.label))
        )
        due_us = transfer.silence_due_us()
        if now_us >= due_us:
            extra_us = (_LONELY_PATIENCE - 1) * transfer.silence_limit_us()
            lonely_us = due_us + min(extra_us, self._book.config.limit_us_max)
            other = None if is_held or want.rival is not None else self._alternative(transfer, want, now_us, True)
            patient_us = 0 if other is None else self._patient_us(transfer, want, other[1], now_us)
            if now_us < patient_us:
                self._book.later(patient_us, now_us)
                return
            is_other = want.rival is not None or other is not None
            if is_other or now_us >= lonely_us:
                self._move(transfer, "stalled", now_us)
                return
            self._book.later(min(lonely_us, now_us + self._book.config.check_interval_us), now_us)
        else:
            self._book.later(due_us, now_us)
        if transfer.first_byte_us is None:
            self._race_silent(transfer, want, now_us)
            return
        if now_us - transfer.slice_start_us >= _SLICE_US_MIN:
            transfer.close_slice(now_us, self._book.estimate_of(transfer))
        if want.rival is not None:
            look_us = self._races.look(want, now_us) if transfer.number == want.rival else None
            if look_us is not None:
                self._book.later(look_us, now_us)
            return
        config, deadline_us = self._book.config, self._book.deadline_us(want.key)
        is_playing = deadline_us is not None
        if deadline_us is not None:
            target_us = deadline_us
        elif want.urgent:
            target_us = want.urgent_since_us + config.startup_patience_us
        else:
            return
        seen_us = _PROJECTION_US_MIN
        if transfer.is_peer and is_playing and transfer.received_bytes > 0:
            # Others ask it meanwhile.  What is found out at a look must be in time to be mended, so there is one more
            # when a CDN can just be asked in time, and after a shorter stretch where that comes sooner.  But a peer's
            # messages come whole, 64 kB at a time: before the first there is nothing to judge it by.
            safe_us = target_us - self._safe_us(self._book.size_bytes(want), now_us)
            first_us = transfer.first_byte_us
            seen_us = max(_SLICE_US_MIN, min(seen_us, safe_us - first_us))
            look_at_us = max(safe_us, first_us + seen_us)
            if now_us < look_at_us:
                self._book.later(look_at_us, now_us)
            target_us -= config.check_interval_us
        self._book.later(now_us + config.check_interval_us, now_us)
        if transfer.bytes_per_s is None or now_us - transfer.first_byte_us < seen_us:
            return
        missing_bytes = max(0, self._book.size_bytes(want) - transfer.ahead_bytes)
        needed_us = int(missing_bytes * 1_000_000 / max(1.0, transfer.bytes_per_s))
        if now_us + needed_us <= target_us:
            self._overtake(transfer, want, needed_us, now_us)
            return
        if not transfer.is_peer and (is_held or want.slow_until_us > now_us):
            return  # a peer has its own line, and is left for a CDN at any time
        is_long = needed_us > _STARTUP_LONG * self._book.config.startup_patience_us
        enough_us = int(self._book.config.move_gain * needed_us)
        soon_us = min(enough_us, target_us - now_us) if is_playing else enough_us  # then the cheapest, else the soonest
        other = self._alternative(transfer, want, now_us, False, is_long, soon_us)
        if other is not None and other[0] <= enough_us:
            if is_playing and target_us - now_us > _LEISURE_US and self._is_dearer(transfer, other[1]):
                return
            if self._races.may_begin(transfer, want, other[1]):
                self._book.start(want, other[1], "race", now_us)
            else:
                self._move(transfer, "slow", now_us, other[1])

    def _patient_us(self, transfer: Transfer, want: Want, other: Cdn | Peer, now_us: int) -> int:
        """Until when a silent CDN is waited for, although `other` could be asked: longer while that one is dearer."""
        deadline_us = self._book.deadline_us(want.key)
        if deadline_us is None or not self._is_dearer(transfer, other):
            return 0
        silent_since_us = transfer.silence_due_us() - transfer.silence_limit_us()
        return silent_since_us + min(_PATIENT_US, (deadline_us - now_us) // _PATIENT_PART)

    def _is_dearer(self, transfer: Transfer, other: Cdn | Peer) -> bool:
        """Whether both are CDNs, and the other costs more."""
        if transfer.is_peer or isinstance(other, Peer):
            return False
        return other.price > self._book.cdns[transfer.label].price

    def _start(self, want: Want, source: Cdn | Peer, why: str, now_us: int, beside: tuple[Peer, ...] = ()) -> None:
        """For somebody who waits."""
        self._book.start(want, source, why, now_us, beside)
        assert want.transfer is not None
        self._race_silent(self._book.transfers[want.transfer], want, now_us)

    def _race_silent(self, transfer: Transfer, want: Want, now_us: int) -> None:
        """Somebody waits for it and it is not answered: from the last safe moment on another is asked as well."""
        race_us = self._races.silent_us(transfer)
        if race_us is None or want.rival is not None or not want.urgent:
            return
        deadline_us = self._book.deadline_us(want.key)
        if deadline_us is not None:
            race_us = max(race_us, deadline_us - self._safe_us(self._book.size_bytes(want), now_us))
        if now_us < race_us:
            self._book.later(race_us, now_us)
            return
        other = self._alternative(transfer, want, now_us, False)
        if other is not None and self._races.may_begin(transfer, want, other[1]):
            self._book.start(want, other[1], "race", now_us)

    def _yield(self, now_us: int) -> None:
        """Stop what plays later where it would make late what plays earlier; it goes on from its byte when it can."""
        while (transfer := self._surplus.to_yield(now_us)) is not None:
            want = self._book.stop(transfer.want, "yielded", now_us)
            want.attempts = max(0, want.attempts - 1)
            want.phase = WANTED

    def _overtake(self, transfer: Transfer, want: Want, needed_us: int, now_us: int) -> None:
        """A peer would be in time; but on a busy line who waits is served at the line's speed."""
        timeline = self._book.timelines.get(want.key.rendition)
        if not (transfer.is_peer and want.urgent and timeline and self._is_line_busy(want, timeline, now_us)):
            return
        expected = self._select.expected(self._book.size_bytes(want), now_us, self._line_left(transfer))
        if expected is not None and expected[0] < self._book.config.move_gain * needed_us:
            self._book.want_again(self._book.cancel(transfer, "overtaken", now_us))

    def _alternative(  # noqa: PLR0917, a C method has no keyword-only arguments
        self,
        transfer: Transfer,
        want: Want,
        now_us: int,
        any_peer: bool,
        is_long: bool = False,
        enough_us: int = 0,
    ) -> tuple[int, Cdn | Peer] | None:
        """How long another source would need for the rest, and which; None if there is no other."""
        return self._select.alternative(
            want,
            self._book.timelines.get(want.key.rendition),
            transfer,
            self._book.size_bytes(want),
            now_us,
            any_peer=any_peer,
            enough_us=enough_us,
            is_hopeful=is_long or self._book.deadline_us(want.key) is not None,
        )

    def _line_left(self, transfer: Transfer) -> float | None:
        """What the viewer's own line could bring instead of this transfer; None if it was never measured."""
        line = self._book.line.bytes_per_s
        if line is None:
            return None
        others = total([t.bytes_per_s or 0.0 for t in self._book.transfers.values() if t is not transfer])
        return max(line - others, transfer.bytes_per_s or 0.0)

    def _move(self, transfer: Transfer, reason: str, now_us: int, to: Cdn | Peer | None = None) -> None:
        """Leave a source for another: for `to`, or for whoever is best then."""
        want = self._book.cancel(transfer, reason, now_us)
        want.moves += 1
        want.mark(transfer.label).failed(reason, now_us, self._book.config)
        if reason == "slow":
            want.slow_until_us = now_us + (_PROJECTION_US_MIN << min(want.moves, 8))
        if not transfer.is_peer:
            self._trials.accuse(transfer, reason, now_us)
        else:  # it has its own line
            estimate = self._book.estimate_of(transfer)
            if reason == "slow":
                estimate.fell_to(transfer.bytes_per_s or 0.0)
            else:
                estimate.failed(now_us, reason)
                if transfer.first_byte_us is None:
                    estimate.first_byte(now_us - transfer.started_us)
            self._book.peers_of(transfer)[0].failed(now_us, self._book.config)
        self._book.want_again(want)
        if to is not None and want.phase is WANTED:
            self._book.start(want, to, "failover", now_us)

    def _serve(self, want: Want, now_us: int) -> None:
        """Find a source for what somebody waits for, or a time to look again, or give up."""
        if want.attempts >= self._book.config.attempts_max:
            self._give_up(want, f"{want.attempts} attempts brought nothing: {want.failures()}")
            return
        waited_us = now_us - want.urgent_since_us
        if waited_us > self._book.config.patience_us_max and want.attempts > 2:  # progress is not counted as attempts
            self._give_up(want, f"nothing came within {waited_us // 1_000_000} s: {want.failures()}")
            return
        deadline_us = self._book.deadline_us(want.key)
        slack_us = None if deadline_us is None else deadline_us - now_us
        if deadline_us is not None and self._can_wait(want, deadline_us, now_us):
            return
        timeline = self._book.timelines.get(want.key.rendition)
        is_busy = timeline is not None and self._is_line_busy(want, timeline, now_us)
        choice = self._select.urgent(want, timeline, self._book.size_bytes(want), slack_us, now_us, is_busy)
        if choice.source is not None:
            again_us = self._cheaper_again_us(want, choice.source, slack_us, now_us)
            if again_us is not None:
                self._book.later(again_us, now_us)
                return
            why = "failover" if want.fails_over else choice.why
            self._start(want, choice.source, why, now_us, choice.beside)
        elif choice.again_us is not None and self._is_stuck_between_versions(want):
            self._give_up(want, f"what came cannot be continued elsewhere; ask again: {want.failures()}")
        elif choice.again_us is not None:
            self._book.later(choice.again_us, now_us)
        else:
            self._give_up(want, f"no source is left: {want.failures() or 'there is none'}")

    def _cheaper_again_us(self, want: Want, chosen: Cdn | Peer, slack_us: int | None, now_us: int) -> int | None:
        """Until when a cheaper CDN that fails now is waited for; None: not at all.

        A player waits for an answer as long as for a peer, and not where the line comes and goes.
        """
        line = self._book.line
        if slack_us is None or slack_us <= _LEISURE_US or isinstance(chosen, Peer):
            return None
        if (line.sure_bytes_per_s or 0.0) <= _STEADY_SHARE * (line.bytes_per_s or 0.0):
            return None
        again_us = self._select.cheaper_again_us(chosen, want, now_us)
        if again_us is None or not now_us < again_us <= want.urgent_since_us + self._book.config.hold_us_max:
            return None
        return again_us

    def _can_wait(self, want: Want, deadline_us: int, now_us: int) -> bool:
        """Somebody asked, but plays it only later: a peer begins, or one is waited for."""
        timeline = self._book.timelines[want.key.rendition]
        if not self._select.may_share(want, timeline, now_us):
            return False
        if not self._book.spread.hopes(want.key.rendition, now_us):
            return False
        if self._is_line_busy(want, timeline, now_us):
            return False
        size_bytes = self._book.size_bytes(want)
        lead_us = self._cdn_lead_us(want, deadline_us, now_us, True, size_bytes)
        slack_us = deadline_us - now_us
        until_us = min(deadline_us - lead_us, want.urgent_since_us + self._book.config.hold_us_max)
        if now_us >= until_us:
            return False
        peers = self._prefetch_peers(want, timeline, size_bytes, slack_us, now_us)
        if peers:
            why = "failover" if want.fails_over else "offload"
            self._start(want, peers[0], why, now_us, peers[1:])
        else:
            self._book.later(until_us, now_us)
        return True

    def _prefetch_peers(
        self, want: Want, timeline: Timeline, size_bytes: int, slack_us: int | None, now_us: int
    ) -> tuple[Peer, ...]:
        """One that will be in time, or several of ours that will be together; none if nobody will."""
        if not self._book.availability.holder_count(want.key.rendition, want.key.number):
            return ()
        safe_us = self._safe_us(size_bytes, now_us)
        peer = self._select.prefetch_peer(want, timeline, size_bytes, now_us, slack_us, safe_us)
        if peer is not None:
            return (peer,)
        if slack_us is None or want.suspects:
            return ()
        limit_us = slack_us - min(self._book.config.peer_margin_us, safe_us)
        return self._select.together(want, timeline, size_bytes, limit_us, now_us)

    def _safe_us(self, size_bytes: int, now_us: int) -> int:
        """How long before a deadline a CDN must be asked for so much, so that a second try is still in time."""
        if size_bytes != self._safe_bytes:
            self._safe_bytes = size_bytes
            expected_us = self._select.expected_us(size_bytes, now_us, self._book.line.bytes_per_s)
            if expected_us < 0:
                self._safe_for_us = self._book.config.cdn_prefetch_deadline_us
            else:
                self._safe_for_us = self._book.spread.safe_us(expected_us, self._select.soonest_spread)
        return self._safe_for_us

    def _is_stuck_between_versions(self, want: Want) -> bool:
        """Without hashes, bytes of one CDN cannot be joined to those of another with another ETag or length.

        Waiting for the first to recover would take a player's whole patience; an
        error makes it ask again, and then the other CDN delivers all.
        """
        return (
            want.received_bytes > 0
            and not self._book.is_hashed(want.key)
            and any("changed" in mark.reasons for mark in want.marks.values())
        )

    def _give_up(self, want: Want, reason: str) -> None:
        self._book.actions.append(GiveUp(want.key, reason))
        want.urgent = False
        want.received_bytes = 0  # GiveUp says so already
        want.suspects = ()
        self._book.leave(want)

    def _release(self, window: Window, now_us: int) -> None:
        """Stop what will not be wanted soon, unless most of it is there."""
        for key in tuple(self._book.open):
            want = self._book.wants[key]
            if want.urgent or key in window:
                continue
            if want.transfer is None:
                self._book.leave(want)
            elif not self._book.is_mostly_there(want):
                self._book.leave(self._book.stop(want, "released", now_us))

    def _prefetch(self, window: Window, now_us: int) -> None:
        """Start what will be wanted soon."""
        self._is_crowded = False
        peer_room, cdn_room = self._book.config.peer_transfers_max, self._book.config.cdn_transfers_max
        for transfer in self._book.transfers.values():
            idle = transfer.want
            if idle.urgent:
                continue
            if transfer.is_peer:
                peer_room -= 1
            else:
                cdn_room -= 1
        for ahead in self._in_order(window, now_us):
            want, timeline, deadline_us = ahead.want, ahead.timeline, ahead.deadline_us
            slack_us = None if deadline_us is None else deadline_us - now_us
            if timeline.is_left and self._is_busy_with(ahead, now_us):
                continue
            if peer_room > 0:
                peers = self._prefetch_peers(want, timeline, ahead.size_bytes, slack_us, now_us)
                rates = [peer.estimate.bytes_per_s for peer in peers]
                rate = None if None in rates else total([r or 0.0 for r in rates])
                if peers and self._has_room(deadline_us, rate, now_us):
                    peer_room -= 1
                    why = "failover" if want.fails_over else "prefetch"
                    self._book.start(want, peers[0], why, now_us, peers[1:])
                    continue
            if slack_us is None or deadline_us is None:
                continue
            if self._is_busy_with(ahead, now_us):  # no more than the player itself would have
                lead_us = self._book.config.cdn_prefetch_deadline_us
            else:
                is_shared = self._select.may_share(want, timeline, now_us)
                lead_us = self._cdn_lead_us(want, deadline_us, now_us, is_shared, ahead.size_bytes)
            if slack_us > lead_us:
                self._book.later(deadline_us - lead_us, now_us)
            elif cdn_room > 0 and self._has_room(deadline_us, None, now_us):
                found = self._select.ready_cdn(want, timeline, ahead.size_bytes, slack_us, now_us)
                if found is not None:
                    cdn_room -= 1
                    near = slack_us <= self._book.config.cdn_prefetch_deadline_us
                    why = (
                        "failover" if want.fails_over else "explore" if found[1] else "deadline" if near else "prefetch"
                    )
                    self._book.start(want, found[0], why, now_us)
                else:
                    self._book.later(now_us + self._book.config.retry_backoff_us, now_us)

    def _has_room(self, deadline_us: int | None, bytes_per_s: float | None, now_us: int) -> bool:
        has_room = self._surplus.has_room(deadline_us, bytes_per_s, now_us)
        self._is_crowded = self._is_crowded or not has_room
        return has_room

    def _in_order(self, window: Window, now_us: int) -> list[_Ahead]:
        """What is to be fetched and is due soon, by its deadline; then what few peers hold, while they are still here.

        Equals by turn.  A busy line brings everything by its deadline.
        """
        book = self._book
        found = []
        for place, (key, (segment, timeline)) in enumerate(window.items()):
            want = book.wants.get(key)
            if want is None:
                want = Want(key)
            elif want.urgent or want.phase is not WANTED:
                continue
            ahead = _Ahead(want, segment, timeline, timeline.starts_us(segment), book.size_bytes(want, segment))
            deadline_us = ahead.deadline_us
            is_due = deadline_us is not None and (
                deadline_us - now_us <= book.config.cdn_prefetch_deadline_us or self._is_busy_with(ahead, now_us)
            )
            if is_due and deadline_us is not None:
                order = (0, deadline_us, place)
            else:
                order = (1, book.availability.holder_count(key.rendition, key.number), place)
            found.append((order, ahead))
        if len(found) > 1:
            found.sort(key=_first)
        return [ahead for _, ahead in found]

    def _is_busy_with(self, ahead: _Ahead, now_us: int) -> bool:
        return self._select.is_line_busy(ahead.size_bytes, ahead.segment.duration_us, now_us)

    def _cdn_lead_us(self, want: Want, deadline_us: int, now_us: int, is_shared: bool, size_bytes: int) -> int:
        """How long before its deadline a CDN is asked for it, on a line that is not busy.

        Without a swarm there is nothing to wait for, and `cdn_prefetch_deadline_us` is
        a habit; with one, a CDN waits until the last safe moment for what peers hold
        or are fetching, and for the rest until it is this viewer's turn (spread.py).
        """
        book, key = self._book, want.key
        near_us = book.config.cdn_prefetch_deadline_us
        if not is_shared or not book.spread.hopes(key.rendition, now_us):
            return near_us
        safe_us = self._safe_us(size_bytes, now_us)
        if book.availability.holder_count(key.rendition, key.number) or book.availability.is_being_fetched(
            key.rendition, key.number
        ):
            return safe_us
        return max(safe_us, deadline_us - book.spread.turn_us(key, now_us))

    def _is_line_busy(self, want: Want, timeline: Timeline, now_us: int) -> bool:
        """Whether the viewer's line is busy with this rendition for most of the time, and so has none to lose."""
        segment = timeline.find(want.key)
        if segment is None:
            return True
        return self._select.is_line_busy(self._book.size_bytes(want), segment.duration_us, now_us)
