"""The peers of a session: whom it is connected to, in which swarms, and what it tells them.

A part of the session, whose actor it uses to start others.  Whether a peer is
welcome is the policy's decision; what it holds, the policy's knowledge.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef
from shoal.transports.errors import TrackerRefused
from shoal.transports.interface import Channel

from ..events import PeerAnnounced, PeerJoined
from ..extension import CLAIM_BYTES
from ..model import Kind, ResourceKey, SourceKind, source_label
from ..places import Places
from ..pseudonyms import without_addresses
from ..uploads import Turn, Uploads
from . import messages as m
from . import reporter as r
from .parts import SessionParts
from .peer import Peer
from .swarm import Swarm
from .transfers import Transfers

__all__ = ["GAVE_WAY", "IDLE", "Neighbours"]

# Why a channel is closed, as its other side is told.
GAVE_WAY = "its place is needed for another rendition"
IDLE = "its rendition is not watched any more"


class _Link(msgspec.Struct):
    rendition: int
    ref: ActorRef[Any]
    announced: PeerAnnounced | None = None  # the last, as it was said
    others: frozenset[int] = frozenset()  # numbers of which it holds another version, by its own words
    is_welcome: bool = False  # once the policy has taken it
    is_banned: bool = False


class Neighbours:
    def __init__(
        self,
        session: Actor[Any],
        parts: SessionParts,
        transfers: Transfers,
        *,
        reporter: ActorRef[Any],
        storage: ActorRef[Any],
    ) -> None:
        self._session = session
        self._parts = parts
        self._transfers = transfers
        self._reporter = reporter
        self._storage = storage
        self._links: dict[str, _Link] = {}
        self._swarms: dict[int, list[ActorRef[Any]]] = {}  # per rendition, one for each tracker
        self._info_hashes: dict[int, str] = {}  # per rendition
        self._own_ids: dict[int, str] = {}  # per rendition: what peers call us there
        self._shareable: dict[int, set[int]] = {}  # per rendition: media numbers that may be uploaded
        self._all: dict[int, frozenset[int]] = {}  # per rendition that will have no more: its media numbers
        self._complete: set[int] = set()  # the renditions of which trackers are told that we hold all
        self._claims: dict[int, dict[int, bytes]] = {}  # of what may be uploaded: the first bytes of its hash
        self._sent_bytes: dict[str, int] = {}  # by label
        self._is_announce_due = False
        self._are_allowed = parts.are_peers_allowed
        self._departures = 0  # of swarms, for whatever reason
        self._met_count = 0
        self._held_back: dict[int, None] = {}  # renditions whose swarms are joined once the viewer agrees
        self._is_silent = False
        self._places = Places(parts.config.peers_max, parts.config.swarm_idle_us)
        self._links_max: dict[int, int] = {}  # per rendition: what its swarms were told
        self._uploads = Uploads(parts.config.upload_bytes_per_s)
        self.choking = self._uploads.choking
        self._was_full = False
        self._refusals: dict[str, TrackerRefused] = {}  # by tracker: those that let us in no more

    def ref(self, peer: str) -> ActorRef[Any]:
        return self._links[peer].ref

    def rendition(self, peer: str) -> int:
        return self._links[peer].rendition

    def __contains__(self, peer: object) -> bool:
        return peer in self._links

    def answered(self, answer: m.TrackerAnswered) -> None:
        """A tracker let us in, or did not."""
        if answer.refusal is None:
            self._refusals.pop(answer.tracker, None)
        else:
            self._refusals[answer.tracker] = answer.refusal

    @property
    def refusal(self) -> TrackerRefused | None:
        """Why nobody is met: the first of the trackers' answers, if all refuse us and no peer is here."""
        if self._links or not self._parts.trackers:
            return None
        return next(iter(self._refusals.values())) if len(self._refusals) == len(set(self._parts.trackers)) else None

    # -- consent

    def agree(self) -> list[int]:
        """The viewer agrees to peers; which swarms were joined now."""
        self._are_allowed = True
        held_back, self._held_back = self._held_back, {}
        return [rendition for rendition in held_back if self.join(rendition)]

    def withdraw(self) -> list[str]:
        """The viewer does not agree to peers (any more); who is to go, and was told so.

        From now on no tracker is asked, no address is gathered, and no channel is open.
        """
        self._are_allowed = False
        for rendition in list(self._swarms):
            self._held_back[rendition] = None
            self._leave_swarm(rendition)
        self._own_ids.clear()  # who agrees again comes as somebody else
        for link in self._links.values():
            link.ref.tell(m.Close("the viewer does not agree to peers"))
        return list(self._links)

    # -- swarms and channels

    def name_swarm(self, rendition: int, info_hash: str) -> None:
        self._info_hashes[rendition] = info_hash

    def join(self, rendition: int) -> bool:
        """The rendition is asked for: join its swarm at every tracker, once it has a name; whether that was now.

        Peers need all three of the parts, and a line that is not paid by volume.
        """
        parts = self._parts
        info_hash = self._info_hashes.get(rendition)
        if rendition in self._swarms:
            self._use(rendition)
            return False
        if info_hash is None:
            return False
        if not self._are_allowed:
            self._held_back[rendition] = None
            return False
        if parts.config.metered or parts.connector is None or parts.signaling is None or not parts.trackers:
            return False
        peer_id = parts.scheme.peer_id(random.Random(int.from_bytes(parts.random_bytes(16))))
        self._own_ids[rendition] = peer_id
        self._swarms[rendition] = [
            self._session.spawn(
                Swarm,
                self._session.ref,
                parts.connector,
                parts.signaling,
                parts.config,
                name=f"swarm-{rendition}-{place}-{self._departures}",  # the one before may still be ending
                rendition=rendition,
                tracker=tracker,
                info_hash=info_hash,
                peer_id=peer_id,
                random_bytes=parts.random_bytes,
            )
            for place, tracker in enumerate(parts.trackers)
        ]
        if rendition in self._complete:
            self._tell_trackers(rendition)
        self._use(rendition)
        self._share_places()
        return True

    def _use(self, rendition: int) -> None:
        self._places.use(rendition, self._session.now_us)
        if self._places.idle():
            # Told to ourselves: whoever asks here is in the midst of something else.
            self._session.start_timer("idle swarms", m.LeaveIdleSwarms(), delay_us=0)

    def leave_idle(self) -> list[str]:
        """Leave the swarms of renditions that others are watched in place of; who is to go, and was told so.

        A swarm is joined anew once its rendition is asked for again.
        """
        idle = self._places.idle()
        gone = [peer for peer, link in self._links.items() if link.rendition in idle]
        for rendition in idle:
            self._leave_swarm(rendition)
            self._own_ids.pop(rendition, None)
            self._note(f"the swarm of rendition {rendition} is left: others are watched")
        for peer in gone:
            self._links[peer].ref.tell(m.Close(IDLE))
        self._share_places()
        return gone

    def _leave_swarm(self, rendition: int) -> None:
        for swarm in self._swarms.pop(rendition):
            swarm.stop()  # it says `stopped` to its tracker, and withdraws its offers
        self._links_max.pop(rendition, None)
        self._places.leave(rendition)
        self._departures += 1

    def _share_places(self) -> None:
        """Tell swarms how many channels they may have, where that is another number: no place, no offer."""
        for rendition, swarms in self._swarms.items():
            links_max = self._places.limit(rendition)
            if links_max != self._links_max.get(rendition, self._parts.config.peers_max):
                self._links_max[rendition] = links_max
                for swarm in swarms:
                    swarm.tell(m.LinksMax(links_max))

    def give_way(self, opened: m.ChannelOpened) -> str | None:
        """Whose place the new channel takes, and who was told so; None if there is a place, or none for it."""
        rendition = opened.rendition
        if not self._are_allowed or opened.peer_id in self._links or self._places.is_full(rendition):
            return None
        debtor = self._places.debtor(rendition)
        if debtor is None:
            return None
        newest_first = [peer for peer, link in reversed(self._links.items()) if link.rendition == debtor]
        peer = min(newest_first, key=self._worth)
        self._reporter.tell(r.Lost("peer_gave_way"))
        self._links[peer].ref.tell(m.Close(GAVE_WAY))
        return peer

    def _worth(self, peer: str) -> tuple[bool, bool, int]:
        """Of peers of one rendition, who is of more use to us: who sends us something, gave something, holds more."""
        account = self.choking.account(peer)
        sends = bool(self._transfers.of_source(source_label(SourceKind.PEER, peer)))
        return sends, account.gave, account.held_count

    def take(self, opened: m.ChannelOpened) -> PeerJoined | None:
        """Give the channel an actor; what the policy is to hear of it, or None if it was refused."""
        peer, channel = opened.peer_id, opened.channel
        if not self._are_allowed:
            self._session.start_task(channel.close("the viewer does not agree to peers"), name="refuse")
            return None
        if peer in self._links or self._places.is_full(opened.rendition):
            # The same peer twice, or one too many: the one that is here stays.
            reason = "already connected" if peer in self._links else "peers_max"
            self._reporter.tell(r.Lost(f"peer_{reason.replace(' ', '_')}"))
            self._session.start_task(channel.close(reason), name="refuse")
            if peer not in self._links:
                for swarm in self._swarms.get(opened.rendition, ()):
                    swarm.tell(m.PeerGone(peer))  # else it would count as linked there, and take a place, for good
            return None
        self._met_count += 1
        ref = self._session.spawn(
            Peer,
            self._session.ref,
            self._storage,
            self._parts.config,
            name=f"peer-{opened.rendition}-{self._met_count}",  # in the runtime's logs: no peer id
            peer=peer,
            rendition=opened.rendition,
            channel=channel,
            tamper=self._parts.tamper,
        )
        self._links[peer] = _Link(opened.rendition, ref)
        self._places.enter(opened.rendition)
        self._share_places()
        self._reporter.tell(r.Met(peer))
        for swarm in self._swarms.get(opened.rendition, ()):
            swarm.tell(m.PeerMet(peer))
        return PeerJoined(
            peer=peer,
            rendition=opened.rendition,
            fingerprint=channel.fingerprint,
            address=_place(channel),
            own=self._own_ids.get(opened.rendition, ""),
        )

    def welcome(self, joined: PeerJoined) -> None:
        """The policy has heard of it: unless it banned the peer at once, the peer is told what we hold."""
        link = self._links[joined.peer]
        if not link.is_banned:
            link.is_welcome = True
            where = f" ({joined.address})" if self._parts.config.log_viewers else ""
            self._note(f"{joined.peer} joined{where}")
            link.ref.tell(self._told(joined.peer, self._holdings(link.rendition)))

    def ban(self, peer: str, reason: str, until_us: int | None = None) -> None:
        link = self._links.get(peer)
        for swarms in self._swarms.values() if link is None else [self._swarms.get(link.rendition, [])]:
            for swarm in swarms:
                swarm.tell(m.Banned(peer, until_us))
        if link is None:  # it has left, and must not come back at once
            if until_us is not None:
                self._note(f"{peer} is refused for {(until_us - self._session.now_us) / 1e6:.0f} s: {reason}")
            return
        link.is_banned = True
        if link.is_welcome:
            self._note(f"{peer} is banned: {reason}")
        else:  # it comes again and again: counted, so that it cannot fill the log
            self._reporter.tell(r.Lost("banned_peer"))
        link.ref.tell(m.Close(reason))

    def leave(self, peer: str, reason: str) -> bool:
        """The channel is closed; False if that was known."""
        link = self._links.pop(peer, None)
        if link is None:
            return False
        self._places.exit(link.rendition)
        self._share_places()
        self._uploads.leave(peer)
        for swarm in self._swarms.get(link.rendition, ()):
            swarm.tell(m.PeerGone(peer))
        if link.is_welcome:
            self._note(f"{peer} left: {reason if self._parts.config.log_viewers else without_addresses(reason)}")
        self._reporter.tell(r.Gone(peer))
        return True

    # -- what they are told, and trackers

    def listed(self, rendition: int, numbers: Iterable[int] | None) -> None:
        """The media numbers of a rendition; None while there may be more of them."""
        if numbers is None:
            self._all.pop(rendition, None)
        else:
            self._all[rendition] = frozenset(numbers)
        self._see_if_complete(rendition)

    def silence(self, *, is_silent: bool) -> None:
        """Whether we hold nothing that may be offered, whatever comes."""
        self._is_silent = is_silent
        for rendition in self._all:
            self._see_if_complete(rendition)

    def _see_if_complete(self, rendition: int) -> None:
        every, shared = self._all.get(rendition, frozenset()), self._shareable.get(rendition, set())
        # The lengths first: it is asked once for each segment that comes.
        is_so = 0 < len(every) <= len(shared) and every <= shared and self._may_offer
        if is_so != (rendition in self._complete):
            self._complete ^= {rendition}
            self._tell_trackers(rendition)

    def _tell_trackers(self, rendition: int) -> None:
        for swarm in self._swarms.get(rendition, ()):
            swarm.tell(m.HoldsAll(rendition in self._complete))

    @property
    def _may_offer(self) -> bool:
        return self._parts.config.upload and not self._is_silent

    def hold(self, key: ResourceKey, sha256: bytes | None) -> None:
        """This resource is in the store, and may be uploaded; its hash, if the stream's operator says it."""
        self._shareable.setdefault(key.rendition, set()).add(key.number)
        if sha256 is not None:
            self._claims.setdefault(key.rendition, {})[key.number] = sha256[:CLAIM_BYTES]
        self._see_if_complete(key.rendition)
        self.announce_soon()

    def drop(self, key: ResourceKey) -> None:
        if key.kind is Kind.MEDIA:
            self._shareable.get(key.rendition, set()).discard(key.number)
            self._claims.get(key.rendition, {}).pop(key.number, None)
            self._see_if_complete(key.rendition)
            self.announce_soon()

    def drop_all(self, rendition: int) -> None:
        self._shareable.pop(rendition, None)
        self._claims.pop(rendition, None)
        for link in self._links.values():
            if link.rendition == rendition:
                link.others = frozenset()  # the same numbers mean other bytes now
        self._see_if_complete(rendition)
        self.announce_soon()

    def announce_soon(self) -> None:
        """Changes come in bursts; peers are told once for all of them.

        The timer is not begun anew while it runs: changes without a pause would put it off for ever.
        """
        if self._links and not self._is_announce_due:
            self._is_announce_due = True
            named = max(map(len, self._shareable.values()), default=0)
            # A long list costs each peer's loop and line more, so it is told less often.
            delay_us = self._parts.config.announce_delay_us * (1 + named // 256)
            self._session.start_timer("announce", m.AnnounceNow(), delay_us=delay_us)

    def announce(self) -> None:
        self._is_announce_due = False
        holdings = {link.rendition: self._holdings(link.rendition) for link in self._links.values()}
        for peer, link in self._links.items():
            link.ref.tell(self._told(peer, holdings[link.rendition]))

    def _told(self, peer: str, holdings: m.Announce) -> m.Announce:
        return msgspec.structs.replace(holdings, state=self._uploads.state(peer, self._session.now_us))

    def _holdings(self, rendition: int) -> m.Announce:
        if not self._may_offer:
            return m.Announce(held=(), fetching=())
        return m.Announce(
            held=tuple(sorted(self._shareable.get(rendition, ()))),
            fetching=tuple(sorted(set(self._transfers.from_cdns(rendition)))),
            claims=dict(self._claims.get(rendition, {})),
        )

    # -- what they say

    def heard(self, announced: PeerAnnounced) -> PeerAnnounced:
        """What the policy is to hear: without what the peer has another version of."""
        link = self._links[announced.peer]
        link.announced = announced
        self.choking.heard(announced.peer, len(announced.held))
        return self._without_others(link, announced)

    def claimed(
        self, peer: str, differs: Callable[[int, bytes], bool], claims: dict[int, bytes]
    ) -> PeerAnnounced | None:
        """It said hashes of what it holds; `differs` tells which are not the stream's.

        What the policy is to hear, if it has been told otherwise.  Nobody is to blame: a stream may have been made
        anew while it was watched.
        """
        link = self._links[peer]
        wrong = frozenset(number for number, claim in claims.items() if differs(number, claim))
        if wrong - link.others:
            self._reporter.tell(r.Lost("peer_other_version", len(wrong - link.others)))
        others = (link.others - claims.keys()) | wrong
        if others == link.others:
            return None
        link.others = others
        return None if link.announced is None else self._without_others(link, link.announced)

    def _without_others(self, link: _Link, announced: PeerAnnounced) -> PeerAnnounced:
        if not link.others:
            return announced
        return msgspec.structs.replace(
            announced, held=announced.held - link.others, fetching=announced.fetching - link.others
        )

    # -- what they are sent

    def may_begin(self, asked: m.MayBegin) -> str | None:
        """Why a peer that asks for a segment is refused, or None."""
        link = self._links.get(asked.peer)
        if link is None or asked.number not in self._shareable.get(link.rendition, ()):
            return "absent"
        why = self._uploads.may_begin(asked.peer, self._session.now_us, hears_why=asked.hears_why)
        self._tell_if_full()
        return why

    def upload_turn(self, asked: m.MayUpload) -> Turn | None:
        """How much a peer may be sent, and after how long; None while others come first."""
        if asked.peer not in self._links:
            return Turn(asked.byte_count, 0)  # its channel is about to close
        return self._uploads.turn(asked.peer, asked.byte_count, self._session.now_us, is_patient=asked.is_patient)

    def _tell_if_full(self) -> None:
        is_full = self._uploads.is_full(self._session.now_us)
        if is_full != self._was_full:
            self._was_full = is_full
            self.announce_soon()

    # -- the report

    def count_sent(self, peer: str, byte_count: int) -> None:
        """An upload to it has ended, after so many bytes."""
        self._uploads.ended(peer, byte_count)
        self._tell_if_full()
        label = source_label(SourceKind.PEER, peer)
        self._sent_bytes[label] = self._sent_bytes.get(label, 0) + byte_count
        if len(self._sent_bytes) > r.PEERS_MAX:
            del self._sent_bytes[next(iter(self._sent_bytes))]
            self._reporter.tell(r.Lost("report_peer"))

    def sent_bytes(self, label: str) -> int:
        return self._sent_bytes.get(label, 0)

    def _note(self, text: str) -> None:
        self._reporter.tell(r.Happened(text, self._session.now_us))


def _place(channel: Channel) -> str | None:
    """Whom wrong bytes are held against besides the peer: those at its address, or behind the same relay."""
    address = channel.remote_address
    return f"relay {address}" if address is not None and channel.is_relayed else address
