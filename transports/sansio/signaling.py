"""The client of a WebTorrent tracker, for one swarm: texts and moments in, texts and events out.

    connected                  ->  AnnounceDue(offer_count)        make so many offers, then announce() them
    receive(text)              ->  OfferReceived                   make an answer, then answer()
                                   AnswerReceived                  give it to the offer of that id
                                   TrackerFailed, SwarmCounted
    tick(now_us) at wake_at_us ->  AnnounceDue, OfferDropped, LinkDropped

The tracker carries descriptions (SDP) between peers that it chooses; it sees no
media.  An offer goes to one peer, and is dropped when nobody answered it for
50 s.  The announce is repeated with fresh offers at the tracker's interval, and
sooner while no channel is open to anybody though the tracker counts others: an
attempt that failed must not cost a viewer two minutes of peers.  Each wait is longer by up
to a quarter, by chance: peers that came together, as when a stream or its tracker began,
would else announce together for ever.  Never sooner than the tracker asks.

Two peers may offer to each other at once.  Of two links to one peer the second
is refused, and while neither is open the offer of the smaller peer id wins: so
both sides keep the same one, and a side that does not know this rule is left
with the one link that still opens.

    link to a peer   their offer           their answer to our offer
    none             pending, theirs       pending, ours
    pending, theirs  refused               we are smaller: ours, LinkDropped; else refused
    pending, ours    refused               refused
    open             refused               refused

Who holds everything there is says `left: 0`, and once `completed`, as BitTorrent's
trackers know it: they may send such peers to those that lack something.

A banned peer id is refused whatever the link, so that it costs no handshake; for ever, or until a moment.

What is refused or not understood is counted by reason.  Opening sockets and
making descriptions is left to the caller.  One socket carries one swarm:
bittorrent-tracker forgets all but the first peer id of a socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .nesting import is_nested_deeper

__all__ = [
    "ELSEWHERE",
    "AnnounceDue",
    "AnswerReceived",
    "LinkDropped",
    "OfferDropped",
    "OfferReceived",
    "SignalingEvent",
    "SignalingLimits",
    "SwarmCounted",
    "TrackerClient",
    "TrackerFailed",
    "offer_id_of",
]

ELSEWHERE = ""  # the offer id of a link that another tracker brought about; no real one is empty
ID_BYTES = 20  # of an info hash, a peer id and an offer id; each byte is one character U+0000..U+00FF


class SignalingLimits(msgspec.Struct, frozen=True):
    """What a tracker, and the strangers behind it, may cost us."""

    message_bytes_max: int = 128 * 1024  # five offers of 16 KiB, and what JSON adds
    sdp_bytes_max: int = 16 * 1024  # browsers write 1 to 3 KiB
    offers_max: int = 5  # in one announce; the package never sends more
    offers_live_max: int = 50
    offer_lifetime_us: int = 50_000_000  # as in the package, whose peers drop theirs then
    link_pending_us: int = 60_000_000  # from description to open channel; ICE has given up by then
    links_max: int = 50  # pending and open, until the caller says otherwise
    incoming_offers_per_second_max: int = 10  # each costs a peer connection
    banned_max: int = 4096  # peer ids that are refused; the oldest are forgotten
    interval_us_default: int = 120_000_000  # until the tracker names one
    interval_us_min: int = 5_000_000  # a tracker that asks for more is wrong or hostile
    interval_us_max: int = 1_800_000_000
    alone_interval_us: int = 15_000_000  # the first wait while alone among others, then doubled; ICE takes up to 10 s
    # Of a wait, what it may be longer by chance.  With two minutes, those who came in one second are spread over half a
    # minute by their second announce, and over all of the interval after some; the tracker has a ninth less to answer.
    spread: float = 0.25


class AnnounceDue(msgspec.Struct, frozen=True, tag=True):
    """Make this many offers (0 when no more peers are wanted), then announce."""

    offer_count: int


class OfferReceived(msgspec.Struct, frozen=True, tag=True):
    """A peer wants a channel: answer it, or report link_closed."""

    peer_id: str
    offer_id: str
    sdp: str


class AnswerReceived(msgspec.Struct, frozen=True, tag=True):
    """A peer took our offer: complete it, then report link_opened or link_closed."""

    peer_id: str
    offer_id: str
    sdp: str


class OfferDropped(msgspec.Struct, frozen=True, tag=True):
    """Close our offer.  `why` is expired, banned, duplicate or full."""

    offer_id: str
    why: str


class LinkDropped(msgspec.Struct, frozen=True, tag=True):
    """Close the attempt that belongs to this offer.  `why` is expired or superseded."""

    peer_id: str
    offer_id: str
    why: str


class SwarmCounted(msgspec.Struct, frozen=True, tag=True):
    """The tracker's answer to an announce."""

    peer_count: int  # we are among them
    interval_us: int  # that we wait at least


class TrackerFailed(msgspec.Struct, frozen=True, tag=True):
    """The tracker refused something; `reason` is its own text."""

    reason: str


SignalingEvent = (
    AnnounceDue | OfferReceived | AnswerReceived | OfferDropped | LinkDropped | SwarmCounted | TrackerFailed
)


class _Description(msgspec.Struct, frozen=True):
    type: str
    sdp: str


class _Incoming(msgspec.Struct, frozen=True):
    """Every field that a tracker may send; what it adds is passed over."""

    action: str | None = None
    info_hash: str | None = None
    peer_id: str | None = None
    offer_id: str | None = None
    offer: _Description | None = None
    answer: _Description | None = None
    interval: float | None = None  # seconds
    complete: int | None = None
    incomplete: int | None = None
    failure: str | None = msgspec.field(default=None, name="failure reason")


class _Link(msgspec.Struct):
    offer_id: str
    is_ours: bool  # our offer, their answer
    since_us: int
    is_open: bool = False


def offer_id_of(random_bytes: bytes) -> str:
    """An offer id from 20 random bytes: one character U+0000..U+00FF each."""
    if len(random_bytes) != ID_BYTES:
        raise ValueError(f"an offer id is made of {ID_BYTES} bytes, not {len(random_bytes)}")
    return random_bytes.decode("latin-1")


class TrackerClient:
    """One swarm at one tracker.  Times are microseconds on the caller's clock."""

    def __init__(
        self,
        info_hash: str,
        peer_id: str,
        limits: SignalingLimits | None = None,
        *,
        chance: Callable[[], float],
    ) -> None:
        """`chance` draws from 0 to 1, once for each announce."""
        for name, value in (("info_hash", info_hash), ("peer_id", peer_id)):
            if not _is_id(value):
                raise ValueError(f"{name} is {value!r}; it has {ID_BYTES} characters up to U+00FF")
        self.info_hash = info_hash
        self.peer_id = peer_id
        self.limits = limits or SignalingLimits()
        self.links_max = self.limits.links_max  # set it at will; links that are there stay
        self.drops: Counter[str] = Counter()  # incoming messages passed over, by reason
        self._has_started = False
        self._holds_all = False
        self._has_completed = False
        self._announce_at_us: int | None = None  # None while there is no socket
        self._interval_us = self.limits.interval_us_default
        self._announced_at_us = 0
        self._alone_interval_us = self.limits.alone_interval_us
        self._chance = chance
        self._longer = 0.0  # the share by which the wait until the next announce is longer
        self._offers: dict[str, int] = {}  # offer id -> when it expires; in that order
        self._links: dict[str, _Link] = {}
        self._banned: dict[str, int | None] = {}  # until when, by peer id, oldest first; None: for ever
        self._second_us = 0  # the second in which incoming offers are counted
        self._second_offers = 0

    @property
    def wake_at_us(self) -> int | None:
        """When tick() has something to do; None for never."""
        moments = [self._announce_at_us] if self._announce_at_us is not None else []
        moments += list(self._offers.values())[:1]
        moments += [link.since_us + self.limits.link_pending_us for link in self._links.values() if not link.is_open]
        return min(moments, default=None)

    # --- socket and time ---------------------------------------------------

    def connected(self, now_us: int) -> list[SignalingEvent]:
        """The socket to the tracker is open."""
        self._has_started = False
        self._announce_at_us = now_us
        return self.tick(now_us)

    def disconnected(self) -> None:
        """The socket is gone.  Links stay; offers do until they expire."""
        self._announce_at_us = None

    def tick(self, now_us: int) -> list[SignalingEvent]:
        """Let time pass."""
        events: list[SignalingEvent] = []
        for offer_id in [offer_id for offer_id, expires_us in self._offers.items() if expires_us <= now_us]:
            del self._offers[offer_id]
            events.append(OfferDropped(offer_id, "expired"))
        overdue_us = now_us - self.limits.link_pending_us
        for peer_id, link in list(self._links.items()):
            if not link.is_open and link.since_us <= overdue_us:
                del self._links[peer_id]
                events.append(LinkDropped(peer_id, link.offer_id, "expired"))
        if self._announce_at_us is not None and self._announce_at_us <= now_us:
            self._announced_at_us = now_us
            self._longer = self.limits.spread * min(max(self._chance(), 0.0), 1.0)
            self._announce_at_us = now_us + self._spread(self._interval_us)
            events.append(AnnounceDue(self.offers_wanted))
        return events

    # --- what we say -------------------------------------------------------

    def announce(self, offers: Mapping[str, str], now_us: int, *, uploaded: int = 0, downloaded: int = 0) -> str:
        """The text that makes us known and hands out offers (offer id -> SDP), none of which has been used before."""
        if len(offers) > self.limits.offers_max:
            raise ValueError(f"{len(offers)} offers in one announce; the limit is {self.limits.offers_max}")
        for offer_id, sdp in offers.items():
            if not _is_id(offer_id) or offer_id in self._offers:
                raise ValueError(f"offer id {offer_id!r} was used before, or has not {ID_BYTES} characters to U+00FF")
            self._check_sdp(sdp)
        self._offers |= dict.fromkeys(offers, now_us + self.limits.offer_lifetime_us)
        message: dict[str, Any] = {"numwant": len(offers), "uploaded": uploaded, "downloaded": downloaded}
        if not self._has_started:
            message["event"] = "started"
            self._has_started = True
        if self._holds_all:
            message["left"] = 0
        listed = [{"offer": {"type": "offer", "sdp": sdp}, "offer_id": offer_id} for offer_id, sdp in offers.items()]
        return _text(message | self._address() | {"offers": listed})

    def answer(self, peer_id: str, offer_id: str, sdp: str) -> str | None:
        """The text that answers an offer; None if the link was dropped meanwhile: close the attempt."""
        link = self._links.get(peer_id)
        if link is None or link.is_ours or link.offer_id != offer_id:
            return None
        self._check_sdp(sdp)
        description = {"type": "answer", "sdp": sdp}
        return _text(self._address() | {"to_peer_id": peer_id, "answer": description, "offer_id": offer_id})

    def hold_all(self, *, is_so: bool) -> str | None:
        """Whether we hold everything there is, from now on; a text to send now, or None.

        The text is the one `completed` of a swarm: what falls away and comes back is left to the next announce, so
        that no tracker hears of every change.  Who has everything when it joins has not completed anything.
        """
        self._holds_all = is_so
        if not is_so or self._has_completed:
            return None
        self._has_completed = True
        if not self._has_started or self._announce_at_us is None:
            return None
        return _text({"numwant": 0, "event": "completed", "left": 0} | self._address() | {"offers": []})

    def stop(self, *, uploaded: int = 0, downloaded: int = 0) -> str:
        """The text that leaves the swarm; close the socket after it."""
        self._announce_at_us = None
        return _text({"uploaded": uploaded, "downloaded": downloaded, "event": "stopped"} | self._address())

    # --- what became of links ----------------------------------------------

    def link_opened(self, peer_id: str, offer_id: str, now_us: int) -> bool:
        """A channel to the peer opened.  False: there is another one, so close this."""
        link = self._links.get(peer_id)
        if link is None:  # it opened after we had given it up
            link = self._links[peer_id] = _Link(offer_id, is_ours=False, since_us=now_us)
        if link.offer_id != offer_id:
            return False
        link.is_open = True
        self._announce_later()
        return True

    def met(self, peer_id: str, now_us: int) -> None:
        """There is a channel to the peer, by another tracker: its offers and answers here are for nothing.

        An attempt under way goes on, and is refused when it opens.  Lasts until link_closed(peer_id, ELSEWHERE).
        """
        if peer_id not in self._links:
            self._links[peer_id] = _Link(ELSEWHERE, is_ours=False, since_us=now_us, is_open=True)
            self._announce_later()

    def link_closed(self, peer_id: str, offer_id: str) -> None:
        """The channel, or the attempt, is over; the peer may be met again."""
        link = self._links.get(peer_id)
        if link is not None and link.offer_id == offer_id:
            del self._links[peer_id]

    def ban(self, peer_id: str, until_us: int | None = None) -> None:
        """Take no more offers and answers of this peer, or none before that moment.

        A link to it stays until link_closed.  What is for ever stays so.
        """
        known = self._banned.pop(peer_id, 0)
        self._banned[peer_id] = None if known is None or until_us is None else max(known, until_us)
        if len(self._banned) > self.limits.banned_max:
            del self._banned[next(iter(self._banned))]

    # --- what the tracker says ---------------------------------------------

    def receive(self, text: str, now_us: int) -> list[SignalingEvent]:
        """What a text means.  Never raises for what the tracker or a peer wrote; that is counted in `drops`."""
        if len(text) > self.limits.message_bytes_max:
            return self._drop("message_too_large")
        try:
            data = text.encode()
            if is_nested_deeper(data):
                return self._drop("malformed")
            message = msgspec.json.decode(data, type=_Incoming)
        except (msgspec.DecodeError, UnicodeError):
            return self._drop("malformed")
        if message.info_hash is not None and message.info_hash != self.info_hash:
            return self._drop("other_swarm")
        if message.failure is not None:
            return [TrackerFailed(message.failure[:200])]
        if message.action != "announce" or message.info_hash is None:
            return self._drop("unknown_action")
        if message.offer is None and message.answer is None:
            return self._counted(message)
        return self._described(message, now_us)

    def _counted(self, message: _Incoming) -> list[SignalingEvent]:
        limits = self.limits
        if message.interval is not None:
            # Compared before it is made whole: it may be as large as a float gets.
            seconds = min(max(message.interval, 0.0), 1e6)
            self._interval_us = min(max(int(seconds * 1e6), limits.interval_us_min), limits.interval_us_max)
        peer_count = max(message.complete or 0, 0) + max(message.incomplete or 0, 0)
        if self._announce_at_us is not None:
            self._announce_at_us = self._announced_at_us + self._spread(self._wait_us(peer_count))
        return [SwarmCounted(peer_count, self._interval_us)]

    @property
    def _is_linked(self) -> bool:
        return any(link.is_open for link in self._links.values())

    def _announce_later(self) -> None:
        """A channel is open: the next announce has no haste."""
        self._alone_interval_us = self.limits.alone_interval_us
        if self._announce_at_us is not None:
            self._announce_at_us = self._announced_at_us + self._spread(self._interval_us)

    def _spread(self, wait_us: int) -> int:
        """Drawn once for each announce: what changes the wait meanwhile must not draw until it is short."""
        return wait_us + int(wait_us * self._longer)

    def _wait_us(self, peer_count: int) -> int:
        """From one announce to the next."""
        if self._is_linked or peer_count <= 1:
            return self._interval_us
        wait_us = min(self._alone_interval_us, self._interval_us)
        self._alone_interval_us = wait_us * 2
        return wait_us

    def _described(self, message: _Incoming, now_us: int) -> list[SignalingEvent]:
        """An offer or an answer of a peer."""
        peer_id, offer_id, description = message.peer_id, message.offer_id, message.offer or message.answer
        if description is None or peer_id is None or offer_id is None or not (_is_id(peer_id) and _is_id(offer_id)):
            return self._drop("malformed")
        if description.type != ("offer" if message.offer else "answer"):
            return self._drop("malformed")
        if len(description.sdp.encode("utf-8", "replace")) > self.limits.sdp_bytes_max:
            return self._drop("sdp_too_large")
        if peer_id == self.peer_id:
            return self._drop("own")
        if self._announce_at_us is not None and not self._is_linked:  # we are not alone, and this attempt may fail
            self._announce_at_us = min(self._announce_at_us, now_us + self._spread(self._alone_interval_us))
        if message.offer is None:
            return self._answered(peer_id, offer_id, description.sdp, now_us)
        return self._offered(peer_id, offer_id, description.sdp, now_us)

    def _offered(self, peer_id: str, offer_id: str, sdp: str, now_us: int) -> list[SignalingEvent]:
        if now_us - self._second_us >= 1_000_000:
            self._second_us, self._second_offers = now_us, 0
        self._second_offers += 1
        if self._second_offers > self.limits.incoming_offers_per_second_max:
            return self._drop("too_many_offers")
        if self._is_banned(peer_id, now_us):
            return self._drop("banned")
        if peer_id in self._links:
            return self._drop("duplicate")
        if len(self._links) >= self.links_max:
            return self._drop("full")
        self._links[peer_id] = _Link(offer_id, is_ours=False, since_us=now_us)
        return [OfferReceived(peer_id, offer_id, sdp)]

    def _answered(self, peer_id: str, offer_id: str, sdp: str, now_us: int) -> list[SignalingEvent]:
        if self._offers.get(offer_id, now_us) <= now_us:
            return self._drop("unknown_offer")  # never ours, expired, or answered by somebody else before
        del self._offers[offer_id]
        if self._is_banned(peer_id, now_us):
            self.drops["banned"] += 1
            return [OfferDropped(offer_id, "banned")]
        events: list[SignalingEvent] = []
        link = self._links.get(peer_id)
        if link is not None:
            if link.is_open or link.is_ours or self.peer_id > peer_id:
                self.drops["duplicate"] += 1
                return [OfferDropped(offer_id, "duplicate")]
            events.append(LinkDropped(peer_id, link.offer_id, "superseded"))
        elif len(self._links) >= self.links_max:
            self.drops["full"] += 1
            return [OfferDropped(offer_id, "full")]
        self._links[peer_id] = _Link(offer_id, is_ours=True, since_us=now_us)
        return [*events, AnswerReceived(peer_id, offer_id, sdp)]

    def _is_banned(self, peer_id: str, now_us: int) -> bool:
        until_us = self._banned.get(peer_id, 0)
        return until_us is None or until_us > now_us

    @property
    def offers_wanted(self) -> int:
        """How many offers there is room for, at most as many as one announce takes."""
        limits = self.limits
        room = min(self.links_max - len(self._links), limits.offers_live_max - len(self._offers))
        return max(0, min(limits.offers_max, room))

    # --- helpers -----------------------------------------------------------

    def _address(self) -> dict[str, Any]:
        return {"action": "announce", "info_hash": self.info_hash, "peer_id": self.peer_id}

    def _check_sdp(self, sdp: str) -> None:
        if len(sdp.encode()) > self.limits.sdp_bytes_max:
            raise ValueError(f"a description of {len(sdp.encode())} bytes; the limit is {self.limits.sdp_bytes_max}")

    def _drop(self, reason: str) -> list[SignalingEvent]:
        self.drops[reason] += 1
        return []


def _is_id(text: str) -> bool:
    return len(text) == ID_BYTES and max(text) <= "\u00ff"


def _text(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
