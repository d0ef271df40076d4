"""The tracker's decisions: who is in which swarm, and whose message goes to whom.

    opened(socket, address)       a reason to refuse it, or None; with a subject where tokens are asked for
    receive(socket, text, now_us) texts to send, each with its socket, in order
    closed(socket)                it leaves every swarm at once

The WebTorrent protocol, as bittorrent-tracker answers it: announces join a swarm
and hand offers to peers drawn at random, each to another; answers go back to the
peer named in them; scrapes count.  A failed message gets a `failure reason` and
changes nothing.

Unlike bittorrent-tracker it forgets every peer of a closed socket and not only
the first, passes on nothing but type and SDP, lets only members of a swarm
answer in it, and gives a peer id to another socket only if that comes from the
same address (a page that was reloaded), since the ids of a swarm are known to
all in it.

Sockets, clock and randomness belong to the caller; see tracker.py.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec

from shoal.balancer.rates import Rate

__all__ = ["TrackerCore", "TrackerLimits", "TrackerStatistics"]

ID_CHARACTERS = 20  # one for each byte: U+0000..U+00FF
EVENTS = frozenset({None, "", "started", "completed", "stopped", "update"})

Texts = list[tuple[int, str]]


class TrackerLimits(msgspec.Struct, frozen=True):
    """What clients may cost."""

    interval_s: int = 120  # as bittorrent-tracker; peers announce anew, with fresh offers, every interval
    message_bytes_max: int = 128 * 1024  # five offers of 16 KiB, and what JSON adds
    sdp_bytes_max: int = 16 * 1024
    offers_max: int = 10  # of one announce; the package sends 5
    swarms_per_socket_max: int = 16  # renditions of one page
    scrape_max: int = 50
    messages_per_second_max: int = 20  # of one socket; a popular peer answers many offers
    messages_burst: int = 100
    sockets_max: int = 10_000
    sockets_per_address_max: int = 512  # a school behind one address
    sockets_per_subject_max: int = 4  # of one token's holder: some pages, and one that is just being loaded again


class TrackerStatistics(msgspec.Struct, frozen=True):
    sockets: int
    swarms: int
    peers: int  # memberships: a page in two swarms counts twice
    announces: int
    offers_relayed: int
    answers_relayed: int
    failures: dict[str, int]  # messages refused or not passed on, by reason


class _Description(msgspec.Struct, frozen=True):
    type: str
    sdp: str


class _Offer(msgspec.Struct, frozen=True):
    offer: _Description
    offer_id: str


class _Incoming(msgspec.Struct, frozen=True):
    """Every field that a client may send; what else it sends is passed over."""

    action: str | None = None
    info_hash: str | list[str] | None = None
    peer_id: str | None = None
    to_peer_id: str | None = None
    event: str | None = None
    left: float | None = None
    numwant: float | None = None
    offers: list[_Offer] | None = None
    offer_id: str | None = None
    answer: _Description | None = None


class _Socket(msgspec.Struct):
    address: str
    subject: str | None
    rate: Rate
    swarms: dict[str, str]  # info hash -> own peer id there


class _Member(msgspec.Struct):
    socket: int
    is_complete: bool


class _Refused(Exception):
    """A message fails; `kind` is the stable word that counts it."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


class TrackerCore:
    """All swarms of one tracker.  Sockets are numbers of the caller's choice, never used twice."""

    def __init__(self, source: random.Random, limits: TrackerLimits | None = None) -> None:
        self.limits = limits or TrackerLimits()
        self._random = source
        self._sockets: dict[int, _Socket] = {}
        self._addresses: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self._swarms: dict[str, dict[str, _Member]] = {}  # info hash -> peer id -> member; none is empty
        self._failures: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def statistics(self) -> TrackerStatistics:
        return TrackerStatistics(
            sockets=len(self._sockets),
            swarms=len(self._swarms),
            peers=sum(map(len, self._swarms.values())),
            announces=self._counts["announces"],
            offers_relayed=self._counts["offers"],
            answers_relayed=self._counts["answers"],
            failures=dict(self._failures),
        )

    def refused(self, kind: str) -> None:
        """Somebody was turned away before there was a socket; `kind` is the stable word that counts it."""
        self._failures[kind] += 1

    def opened(self, socket: int, address: str, subject: str | None = None) -> str | None:
        """A socket from `address` wants in; the reason to refuse it, or None.

        `subject` is whom its token was made for.
        """
        assert socket not in self._sockets, f"socket {socket} is open already"
        if len(self._sockets) >= self.limits.sockets_max:
            self._failures["too_many_sockets"] += 1
            return f"the tracker has {self.limits.sockets_max} sockets, and takes no more"
        if self._addresses[address] >= self.limits.sockets_per_address_max:
            self._failures["too_many_sockets_of_address"] += 1
            return f"{self.limits.sockets_per_address_max} sockets of one address, and no more"
        if subject is not None:
            if self._subjects[subject] >= self.limits.sockets_per_subject_max:
                self._failures["too_many_sockets_of_token"] += 1
                return f"{self.limits.sockets_per_subject_max} sockets of one token, and no more"
            self._subjects[subject] += 1
        self._addresses[address] += 1
        rate = Rate(self.limits.messages_per_second_max, self.limits.messages_burst)
        self._sockets[socket] = _Socket(address, subject, rate, {})
        return None

    def closed(self, socket: int) -> None:
        """The socket is gone; so are its peers.  Does nothing the second time."""
        gone = self._sockets.pop(socket, None)
        if gone is None:
            return
        _take_one(self._addresses, gone.address)
        if gone.subject is not None:
            _take_one(self._subjects, gone.subject)
        for info_hash, peer_id in gone.swarms.items():
            self._remove(info_hash, peer_id)

    def receive(self, socket: int, text: str, now_us: int) -> Texts:
        """What a text brings about.  Never raises for what a client wrote."""
        sender = self._sockets.get(socket)
        if sender is None:
            return []
        try:
            return self._act(socket, sender, self._read(sender, text, now_us))
        except _Refused as refused:
            self._failures[refused.kind] += 1
            return [(socket, _text({"failure reason": str(refused)}))]

    def _read(self, sender: _Socket, text: str, now_us: int) -> _Incoming:
        if not sender.rate.allows(now_us):
            raise _Refused(f"more than {self.limits.messages_per_second_max} messages a second", "too_many_messages")
        if len(text) > self.limits.message_bytes_max:
            raise _Refused(f"message of more than {self.limits.message_bytes_max} bytes", "message_too_large")
        try:
            return msgspec.json.decode(text.encode(), type=_Incoming)
        except msgspec.ValidationError as error:
            raise _Refused(f"invalid message: {error}", "malformed") from None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _Refused(f"not valid JSON: {error}", "malformed") from None

    def _act(self, socket: int, sender: _Socket, message: _Incoming) -> Texts:
        if message.action == "announce":
            info_hash = _valid_id(message.info_hash, "info_hash")
            peer_id = _valid_id(message.peer_id, "peer_id")
            if message.answer is not None:
                return self._answer(sender, info_hash, peer_id, message, message.answer)
            return self._announce(socket, sender, info_hash, peer_id, message)
        if message.action == "scrape":
            return [(socket, self._scrape(message.info_hash))]
        raise _Refused(f"invalid action in WS request: {str(message.action)[:40]}", "invalid_action")

    # --- announces ---------------------------------------------------------

    def _announce(self, socket: int, sender: _Socket, info_hash: str, peer_id: str, message: _Incoming) -> Texts:
        if message.event not in EVENTS:
            raise _Refused("invalid event", "invalid_event")
        offers = self._valid_offers(message)
        self._counts["announces"] += 1
        texts: Texts = []
        if message.event == "stopped":
            if sender.swarms.get(info_hash) == peer_id:
                del sender.swarms[info_hash]
                self._remove(info_hash, peer_id)
        else:
            is_complete = message.event == "completed" or message.left == 0
            self._join(socket, sender, info_hash, peer_id, is_complete)
            texts = self._relay_offers(info_hash, peer_id, offers)
        reply = {
            **self._count(info_hash),
            "action": "announce",
            "interval": self.limits.interval_s,
            "info_hash": info_hash,
        }
        return [*texts, (socket, _text(reply))]

    def _valid_offers(self, message: _Incoming) -> list[_Offer]:
        offers = message.offers or []
        if len(offers) > self.limits.offers_max:
            raise _Refused(f"{len(offers)} offers; the limit is {self.limits.offers_max}", "too_many_offers")
        for offer in offers:
            _valid_id(offer.offer_id, "offer_id")
            self._check_description(offer.offer, "offer")
        wanted = len(offers) if message.numwant is None else message.numwant
        return offers[: int(min(max(wanted, 0), len(offers)))]

    def _check_description(self, description: _Description, kind: str) -> None:
        if description.type != kind:
            raise _Refused(f"invalid {kind}", "invalid_description")
        if len(description.sdp.encode("utf-8", "replace")) > self.limits.sdp_bytes_max:
            raise _Refused(f"description of more than {self.limits.sdp_bytes_max} bytes", "description_too_large")

    def _join(self, socket: int, sender: _Socket, info_hash: str, peer_id: str, is_complete: bool) -> None:
        own = sender.swarms.get(info_hash)
        if own is None and len(sender.swarms) >= self.limits.swarms_per_socket_max:
            raise _Refused(f"more than {self.limits.swarms_per_socket_max} swarms on one socket", "too_many_swarms")
        if own not in (None, peer_id):
            raise _Refused("one peer_id for each info_hash and socket", "second_peer_id")
        member = self._swarms.get(info_hash, {}).get(peer_id)
        if member is not None and member.socket != socket:
            holder = self._sockets[member.socket]
            if holder.address != sender.address:
                raise _Refused("peer_id is in use", "peer_id_in_use")
            del holder.swarms[info_hash]
        sender.swarms[info_hash] = peer_id
        self._swarms.setdefault(info_hash, {})[peer_id] = _Member(socket, is_complete)

    def _relay_offers(self, info_hash: str, peer_id: str, offers: list[_Offer]) -> Texts:
        """Each offer to another peer, drawn at random.  Cost: the size of the swarm."""
        swarm = self._swarms[info_hash]
        others = [member for other, member in swarm.items() if other != peer_id] if offers else []
        chosen = self._random.sample(others, min(len(offers), len(others)))
        self._counts["offers"] += len(chosen)
        return [
            (
                member.socket,
                _text({
                    "action": "announce",
                    "offer": msgspec.to_builtins(offer.offer),
                    "offer_id": offer.offer_id,
                    "peer_id": peer_id,
                    "info_hash": info_hash,
                }),
            )
            for offer, member in zip(offers, chosen, strict=False)
        ]  # fmt: skip

    def _answer(self, sender: _Socket, info_hash: str, peer_id: str, message: _Incoming, answer: _Description) -> Texts:
        to_peer_id = _valid_id(message.to_peer_id, "to_peer_id")
        offer_id = _valid_id(message.offer_id, "offer_id")
        self._check_description(answer, "answer")
        if sender.swarms.get(info_hash) != peer_id:
            raise _Refused("answer from a peer that is not in the swarm; announce first", "stranger")
        member = self._swarms[info_hash].get(to_peer_id)
        if member is None:
            self._failures["addressee_gone"] += 1  # no failure reply: who asked has left, which is nobody's mistake
            return []
        self._counts["answers"] += 1
        relayed = {
            "action": "announce",
            "answer": msgspec.to_builtins(answer),
            "offer_id": offer_id,
            "peer_id": peer_id,
            "info_hash": info_hash,
        }
        return [(member.socket, _text(relayed))]

    # --- counting ----------------------------------------------------------

    def _scrape(self, wanted: str | list[str] | None) -> str:
        hashes = wanted if isinstance(wanted, list) else [wanted]
        if len(hashes) > self.limits.scrape_max:
            raise _Refused(f"{len(hashes)} info hashes; the limit is {self.limits.scrape_max}", "too_many_hashes")
        valid = [_valid_id(info_hash, "info_hash") for info_hash in hashes]
        files = {info_hash: self._count(info_hash) | {"downloaded": 0} for info_hash in valid}
        flags = {"min_request_interval": 5 * self.limits.interval_s}
        return _text({"action": "scrape", "files": files, "flags": flags})

    def _count(self, info_hash: str) -> dict[str, int]:
        swarm = self._swarms.get(info_hash, {})
        complete = sum(member.is_complete for member in swarm.values())
        return {"complete": complete, "incomplete": len(swarm) - complete}

    def _remove(self, info_hash: str, peer_id: str) -> None:
        swarm = self._swarms[info_hash]
        del swarm[peer_id]
        if not swarm:
            del self._swarms[info_hash]


def _take_one(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _valid_id(value: str | list[str] | None, name: str) -> str:
    if not isinstance(value, str) or len(value) != ID_CHARACTERS or max(value) > "\u00ff":
        raise _Refused(f"invalid {name}", f"invalid_{name}")
    return value


def _text(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
