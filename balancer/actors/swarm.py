"""One swarm at one tracker: finds peers, connects to them, hands their channels to the session.

The rules are those of `transports/sansio/signaling.py`; here are the socket, the
descriptions and the attempts.  A tracker that fails is asked again, later each
time; nothing that a tracker or a stranger does ends the session.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef, TaskHandle
from shoal.transports.errors import NoAddress, StatusError, TrackerRefused, TransportError
from shoal.transports.interface import Channel, Connector, IncomingChannel, OutgoingOffer, Signaling, TextSocket
from shoal.transports.sansio.signaling import (
    ELSEWHERE,
    AnnounceDue,
    AnswerReceived,
    LinkDropped,
    OfferDropped,
    OfferReceived,
    SignalingEvent,
    SignalingLimits,
    SwarmCounted,
    TrackerClient,
    TrackerFailed,
    offer_id_of,
)

from ..config import BalancerConfig
from ..pseudonyms import without_addresses
from .messages import Banned, ChannelOpened, HoldsAll, LinksMax, Noted, PeerGone, PeerMet, TrackerAnswered
from .reporter import Lost

__all__ = ["Swarm"]


class _Connected(msgspec.Struct, frozen=True):
    socket: TextSocket


class _Disconnected(msgspec.Struct, frozen=True):
    error: TransportError


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Tick(msgspec.Struct, frozen=True):
    pass


class _OffersMade(msgspec.Struct, frozen=True):
    offers: dict[str, OutgoingOffer]
    count: int  # that were wanted


class _AnswerMade(msgspec.Struct, frozen=True):
    peer_id: str
    offer_id: str
    incoming: IncomingChannel


class _Opened(msgspec.Struct, frozen=True):
    peer_id: str
    offer_id: str
    begun: OutgoingOffer | IncomingChannel
    channel: Channel


class _Failed(msgspec.Struct, frozen=True):
    peer_id: str
    offer_id: str


_Described = OfferReceived | AnswerReceived


class _Attempt(msgspec.Struct, frozen=True):
    task: TaskHandle
    begun: OutgoingOffer | IncomingChannel | None


class Swarm(Actor[Any]):
    def __init__(
        self,
        session: ActorRef[Any],
        connector: Connector,
        signaling: Signaling,
        config: BalancerConfig,
        *,
        rendition: int,
        tracker: str,
        info_hash: str,
        peer_id: str,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._session = session
        self._connector = connector
        self._signaling = signaling
        self._config = config
        self._rendition = rendition
        self._tracker = tracker
        self._named = tracker.partition("?")[0]  # in a log: what follows may be a token, and lets its reader in
        self._random_bytes = random_bytes
        limits = SignalingLimits(
            offers_max=config.offers_open_max,
            offer_lifetime_us=config.offer_lifetime_us,
            links_max=config.peers_max,
            banned_max=config.ban_records_max,
        )
        self._client = TrackerClient(info_hash, peer_id, limits, chance=self._chance)
        self._socket: TextSocket | None = None
        # All that holds a connection, until it was closed or its channel was given away: a stop may come at any moment,
        # when what was made is known to a task alone, or waits in the mailbox.
        self._begun: set[OutgoingOffer | IncomingChannel] = set()
        self._offers: dict[str, OutgoingOffer] = {}
        self._making_count = 0  # offers
        self._attempts: dict[str, _Attempt] = {}  # by offer id
        self._links: dict[str, str] = {}  # open ones: peer id -> offer id
        self._told_drops: Counter[str] = Counter()
        self._told_trouble = ""  # why the tracker's socket is not there
        self._told_failure = ""  # why no offer could be made or answered
        self._is_small = config.swarm_viewers_min > 0  # too few viewers, as far as the tracker has told

    def _chance(self) -> float:
        return int.from_bytes(self._random_bytes(2)) / 65536

    def on_start(self) -> None:
        self.start_task(self._keep_connected(), name="socket")

    async def on_stop(self, reason: object) -> None:
        # Together: a tracker that does not read must not keep connections open.
        await asyncio.gather(self._leave_tracker(), *(begun.close() for begun in list(self._begun)))

    async def _leave_tracker(self) -> None:
        if self._socket is not None:
            try:
                await self._socket.send(self._client.stop())
            except TransportError:
                pass  # the tracker has noticed already
            await self._socket.close()

    async def receive(self, message: Any) -> None:
        now_us = self.now_us
        match message:
            case _Text(text):
                self._follow(self._client.receive(text, now_us))
            case _Tick():
                self._follow(self._client.tick(now_us))
            case _Connected(socket):
                self._socket = socket
                self._told_trouble = ""
                self._session.tell(TrackerAnswered(self._tracker, None))
                self._follow(self._client.connected(now_us))
            case _Disconnected(error):
                self._socket = None
                self._client.disconnected()
                if isinstance(error, TrackerRefused):
                    self._session.tell(TrackerAnswered(self._tracker, error))
                if str(error) != self._told_trouble:  # it may be the same each minute, for hours
                    self._told_trouble = str(error)
                    self._session.tell(Noted(f"tracker {self._named}: {error}"))
            case _OffersMade(offers, count):
                self._making_count -= count
                self._offers |= offers
                described = {offer_id: offer.description for offer_id, offer in offers.items()}
                await self._say(self._client.announce(described, now_us))
            case _AnswerMade():
                await self._answer(message)
            case _Opened():
                await self._on_opened(message)
            case _Failed(peer_id, offer_id):
                self._attempts.pop(offer_id, None)
                self._client.link_closed(peer_id, offer_id)
            case HoldsAll(is_so):
                completed = self._client.hold_all(is_so=is_so)
                if completed is not None:
                    await self._say(completed)
            case LinksMax(count):
                self._client.links_max = count
            case Banned(peer_id, until_us):
                self._client.ban(peer_id, until_us)
            case PeerMet(peer_id):
                self._client.met(peer_id, now_us)
            case PeerGone(peer_id):
                self._client.link_closed(peer_id, self._links.pop(peer_id, ELSEWHERE))
            case _:
                raise TypeError(f"the swarm was sent {type(message).__name__}")
        self._wake_later()

    def _wake_later(self) -> None:
        wake_at_us = self._client.wake_at_us
        if wake_at_us is not None:
            self.start_timer("tick", _Tick(), delay_us=max(0, wake_at_us - self.now_us))

    def _follow(self, events: list[SignalingEvent]) -> None:
        for event in events:
            match event:
                case AnnounceDue(offer_count):
                    self._tell_drops()
                    self._offer(0 if self._is_small else offer_count)
                case OfferReceived(peer_id, offer_id) if self._is_small:
                    self._client.link_closed(peer_id, offer_id)
                    self._session.tell(Lost("tracker_swarm_too_small"))
                case OfferReceived():
                    self._attempt(event, None, self._make_answer)
                case AnswerReceived(_, offer_id, sdp):
                    offer = self._offers.pop(offer_id, None)
                    if offer is not None:
                        self._attempt(event, offer, partial(self._open, offer, partial(offer.accept, sdp)))
                case OfferDropped(offer_id, _):
                    dropped = self._offers.pop(offer_id, None)
                    if dropped is not None:
                        self.start_task(self._drop(dropped), name="drop")
                case LinkDropped(_, offer_id, _):
                    attempt = self._attempts.pop(offer_id, None)
                    if attempt is not None:
                        attempt.task.cancel()
                        if attempt.begun is not None:  # the task may not have begun, and would never close it
                            self.start_task(self._drop(attempt.begun), name="drop")
                case TrackerFailed(reason):
                    self._session.tell(Noted(f"tracker {self._named} says: {reason}"))
                case SwarmCounted(viewer_count):
                    was_small, self._is_small = self._is_small, viewer_count < self._config.swarm_viewers_min
                    if was_small and not self._is_small:  # it announced without offers, and the next is minutes away
                        # As many as are wanted: a tracker may count up and down as often as it likes.
                        count = self._client.offers_wanted - self._making_count
                        if count > 0:
                            self._offer(count)

    def _tell_drops(self) -> None:
        """At our own announces, so that whoever makes us drop things does not choose how often it is told."""
        for reason, count in (self._client.drops - self._told_drops).items():
            self._session.tell(Lost(f"tracker_{reason}", count))
        self._told_drops = Counter(self._client.drops)

    # -- the socket

    async def _keep_connected(self) -> None:
        config, delay_us = self._config, self._config.tracker_retry_us
        while True:
            told_us = 0
            try:
                socket = await self._signaling.connect(self._tracker)
                try:
                    await self.ref.send(_Connected(socket))
                    while True:
                        text = await socket.receive()
                        delay_us = config.tracker_retry_us
                        await self.ref.send(_Text(text))
                finally:
                    await socket.close()
            except TransportError as error:
                await self.ref.send(_Disconnected(error))
                told_us = (error.retry_after_us or 0) if isinstance(error, StatusError) else 0
            # Between half the delay and all of it, so that a tracker that comes back is not met by everybody at once;
            # and no sooner than it says.
            share = (128 + self._random_bytes(1)[0] / 2) / 256
            wait_us = min(told_us, config.retry_after_us_max) + int(delay_us * share)
            await asyncio.sleep(wait_us / 1e6)
            delay_us = min(delay_us * 2, config.tracker_retry_us_max)

    async def _say(self, text: str) -> None:
        if self._socket is not None:
            try:
                await self._socket.send(text)
            except TransportError:
                pass  # the receiving side of the socket ends with the reason

    # -- descriptions and channels

    def _offer(self, count: int) -> None:
        self._making_count += count
        self.start_task(self._make_offers(count), name="offers")

    async def _make_offers(self, count: int) -> None:
        offers = {}
        for _ in range(count):
            try:
                offer = await self._connector.offer(self._random_bytes(20).hex())
            except TransportError as error:
                await self._note_once(f"no peer can be met: {error}")
                break
            self._told_failure = ""
            self._begun.add(offer)
            offers[offer_id_of(self._random_bytes(20))] = offer
        await self.ref.send(_OffersMade(offers, count))

    async def _note_once(self, text: str) -> None:
        """Not at every announce what has not changed since the one before; the log keeps so many lines only."""
        if text != self._told_failure:
            self._told_failure = text
            await self._session.send(Noted(text))

    async def _drop(self, begun: OutgoingOffer | IncomingChannel) -> None:
        await begun.close()
        self._begun.discard(begun)

    def _attempt(
        self,
        event: _Described,
        begun: OutgoingOffer | IncomingChannel | None,
        work: Callable[[_Described], Coroutine[Any, Any, None]],
    ) -> None:
        self._attempts[event.offer_id] = _Attempt(self.start_task(self._try(event, work), name="connect"), begun)

    async def _try(self, event: _Described, work: Callable[[_Described], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(event)
        except NoAddress as error:  # whoever asks, at each offer that comes: ours to mend, and nothing of that peer's
            await self._note_once(f"no peer can be met: {error}")
            await self.ref.send(_Failed(event.peer_id, event.offer_id))
        except TransportError as error:
            who, why = "a peer", without_addresses(str(error))
            if self._config.log_viewers:
                who, why = event.peer_id, str(error)
            await self._session.send(Noted(f"{who} could not be connected: {why}"))
            await self.ref.send(_Failed(event.peer_id, event.offer_id))

    async def _make_answer(self, event: _Described) -> None:
        incoming = await self._connector.answer(event.sdp)
        self._begun.add(incoming)
        try:
            await self.ref.send(_AnswerMade(event.peer_id, event.offer_id, incoming))
        except BaseException:  # the attempt was given up
            await self._drop(incoming)
            raise

    async def _answer(self, made: _AnswerMade) -> None:
        text = self._client.answer(made.peer_id, made.offer_id, made.incoming.description)
        if text is None:
            await self._drop(made.incoming)
            return
        event = OfferReceived(made.peer_id, made.offer_id, "")
        self._attempt(event, made.incoming, partial(self._open, made.incoming, made.incoming.channel))
        await self._say(text)

    async def _open(
        self,
        begun: OutgoingOffer | IncomingChannel,
        opening: Callable[[], Coroutine[Any, Any, Channel]],
        event: _Described,
    ) -> None:
        try:
            channel = await opening()
            await self.ref.send(_Opened(event.peer_id, event.offer_id, begun, channel))
        except BaseException:  # it failed, or was given up
            await self._drop(begun)
            raise

    async def _on_opened(self, opened: _Opened) -> None:
        self._attempts.pop(opened.offer_id, None)
        if not self._client.link_opened(opened.peer_id, opened.offer_id, self.now_us):
            await opened.channel.close("another channel is open")
            self._begun.discard(opened.begun)
            return
        self._links[opened.peer_id] = opened.offer_id
        self._begun.discard(opened.begun)
        self._session.tell(ChannelOpened(self._rendition, opened.peer_id, opened.channel))
