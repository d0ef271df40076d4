"""The tracker's decisions: who is in which swarm, and whose message goes to whom.

    opened(socket, address)       a reason to refuse it, or None; with a subject where tokens are asked for.  Sockets
                                  are counted by who holds the address (`balancer/holders.py`): of IPv6 a /64 is one
    receive(socket, text, now_us) texts to send, each with its socket, in order
    closed(socket)                it leaves every swarm at once

The WebTorrent protocol, as bittorrent-tracker answers it: announces join a swarm
and hand offers to peers, each to another (`tracker_choice.py`: to which); answers go
back to the peer named in them; scrapes count.  A failed message gets a `failure reason` and
changes nothing.

Unlike bittorrent-tracker it forgets every peer of a closed socket and not only
the first, passes on nothing but type and SDP, lets only members of a swarm
answer in it, and gives a peer id to another socket only if that comes from the
same holder (a page that was reloaded), since the ids of a swarm are known to
all in it.

Where the tracker has several nodes, `far` knows the peers at the others: they are
drawn and counted with those here, and texts for them come back with a Far in the
place of the socket.  `take_changed`, `shown` and `addressee` are the other
nodes' side of that.

Sockets, clock and randomness belong to the caller; see tracker.py.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec

from shoal.balancer.holders import holder_of
from shoal.balancer.rates import Rate

from .tracker_choice import chosen, network_of
from .tracker_messages import (
    About,
    Description,
    Far,
    FarPeers,
    Incoming,
    Offer,
    Shown,
    TrackerLimits,
    TrackerStatistics,
)

__all__ = ["TrackerCore", "TrackerLimits", "TrackerStatistics"]

ID_CHARACTERS = 20  # one for each byte: U+0000..U+00FF
EVENTS = frozenset({None, "", "started", "completed", "stopped", "update"})

Texts = list[tuple[int | Far, str]]


class _Socket(msgspec.Struct):
    holder: str  # of its address
    network: str
    subject: str | None
    rate: Rate
    swarms: dict[str, str]  # info hash -> own peer id there


class _Member(msgspec.Struct):
    socket: int
    network: str  # the socket's own text, so that a member costs no other
    is_complete: bool


class _Refused(Exception):
    """A message fails; `kind` is the stable word that counts it."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


class TrackerCore:
    """All swarms of one tracker.  Sockets are numbers of the caller's choice, never used twice."""

    def __init__(self, source: random.Random, limits: TrackerLimits | None = None, far: FarPeers | None = None) -> None:
        self.limits = limits or TrackerLimits()
        self._far = far
        self._changed: set[str] = set()  # info hashes whose members here are not those of the last take
        self._random = source
        self._sockets: dict[int, _Socket] = {}
        self._holders: Counter[str] = Counter()
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
            sockets_unnamed=self._counts["unnamed"],
            failures=dict(self._failures),
        )

    def refused(self, kind: str) -> None:
        """Somebody was turned away before there was a socket; `kind` is the stable word that counts it."""
        self._failures[kind] += 1

    def opened(self, socket: int, address: str, subject: str | None = None, *, is_unnamed: bool = False) -> str | None:
        """A socket from `address` wants in; the reason to refuse it, or None.

        `subject` is whom its token was made for.  `is_unnamed` where the address is that of a proxy, which is counted.
        """
        assert socket not in self._sockets, f"socket {socket} is open already"
        self._counts["unnamed"] += is_unnamed
        if len(self._sockets) >= self.limits.sockets_max:
            self._failures["too_many_sockets"] += 1
            return f"the tracker has {self.limits.sockets_max} sockets, and takes no more"
        holder = holder_of(address)
        if self._holders[holder] >= self.limits.sockets_per_address_max:
            self._failures["too_many_sockets_of_address"] += 1
            return f"{self.limits.sockets_per_address_max} sockets of one address, or one /64 of IPv6, and no more"
        if subject is not None:
            if self._subjects[subject] >= self.limits.sockets_per_subject_max:
                self._failures["too_many_sockets_of_token"] += 1
                return f"{self.limits.sockets_per_subject_max} sockets of one token, and no more"
            self._subjects[subject] += 1
        self._holders[holder] += 1
        rate = Rate(self.limits.messages_per_second_max, self.limits.messages_burst)
        self._sockets[socket] = _Socket(holder, network_of(address), subject, rate, {})
        return None

    def closed(self, socket: int, why: str | None = None) -> None:
        """The socket is gone; so are its peers.  Does nothing the second time.

        `why` is a stable word that counts it, if it was us who closed it.
        """
        gone = self._sockets.pop(socket, None)
        if gone is None:
            return
        if why is not None:
            self._failures[why] += 1
        _take_one(self._holders, gone.holder)
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

    def _read(self, sender: _Socket, text: str, now_us: int) -> Incoming:
        if not sender.rate.allows(now_us):
            raise _Refused(f"more than {self.limits.messages_per_second_max} messages a second", "too_many_messages")
        if len(text) > self.limits.message_bytes_max:
            raise _Refused(f"message of more than {self.limits.message_bytes_max} bytes", "message_too_large")
        try:
            return msgspec.json.decode(text.encode(), type=Incoming)
        except msgspec.ValidationError as error:
            raise _Refused(f"invalid message: {error}", "malformed") from None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _Refused(f"not valid JSON: {error}", "malformed") from None

    def _act(self, socket: int, sender: _Socket, message: Incoming) -> Texts:
        if message.action == "announce":
            info_hash = _valid_id(message.info_hash, "info_hash")
            peer_id = _valid_id(message.peer_id, "peer_id")
            if message.answer is not None:
                return self._answer(sender, info_hash, peer_id, message, message.answer)
            return self._announce(socket, sender, info_hash, peer_id, message)
        if message.action == "scrape":
            return [(socket, self._scrape(message.info_hash))]
        raise _Refused(f"invalid action in WS request: {str(message.action)[:40]}", "invalid_action")

    # --- other nodes -------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        return bool(self._changed)

    def take_changed(self) -> set[str]:
        """The swarms that somebody joined or left here since the last call; always empty without `far`.

        No more than `changed_swarms_max`: whoever takes them tells all that there are now and then, and that it has
        told of before.
        """
        taken, self._changed = self._changed, set()
        return taken

    def _note_change(self, info_hash: str) -> None:
        if self._far is None or info_hash in self._changed:
            return
        if len(self._changed) >= self.limits.changed_swarms_max:
            self._failures["swarm_told_late"] += 1  # with all others, every few seconds
            return
        self._changed.add(info_hash)

    def swarms(self) -> list[str]:
        """The info hashes of all swarms that have a peer here."""
        return list(self._swarms)

    def shown(self, info_hash: str, count_max: int) -> Shown | None:
        """A swarm as other nodes may know it, `count_max` of its peers drawn anew; None where it has no peer here."""
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return None
        complete, incomplete = self._count_here(info_hash)
        ids = list(swarm)
        if len(ids) > count_max:
            ids = self._random.sample(ids, count_max)
        members = [swarm[peer_id] for peer_id in ids]
        return Shown(complete, incomplete, ids, [About(member.network, member.is_complete) for member in members])

    def addressee(self, info_hash: str, peer_id: str) -> int | None:
        """The socket of a peer here, for which another node has a text; None, and counted, if it has left."""
        member = self._swarms.get(info_hash, {}).get(peer_id)
        if member is None:
            self._failures["addressee_gone"] += 1
            return None
        return member.socket

    # --- announces ---------------------------------------------------------

    def _announce(self, socket: int, sender: _Socket, info_hash: str, peer_id: str, message: Incoming) -> Texts:
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

    def _valid_offers(self, message: Incoming) -> list[Offer]:
        offers = message.offers or []
        if len(offers) > self.limits.offers_max:
            raise _Refused(f"{len(offers)} offers; the limit is {self.limits.offers_max}", "too_many_offers")
        for offer in offers:
            _valid_id(offer.offer_id, "offer_id")
            self._check_description(offer.offer, "offer")
        wanted = len(offers) if message.numwant is None else message.numwant
        return offers[: int(min(max(wanted, 0), len(offers)))]

    def _check_description(self, description: Description, kind: str) -> None:
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
            before = self._sockets[member.socket]
            if before.holder != sender.holder:
                raise _Refused("peer_id is in use", "peer_id_in_use")
            del before.swarms[info_hash]
        sender.swarms[info_hash] = peer_id
        self._swarms.setdefault(info_hash, {})[peer_id] = _Member(socket, sender.network, is_complete)
        if member is None or member.is_complete != is_complete:
            self._note_change(info_hash)

    def _relay_offers(self, info_hash: str, peer_id: str, offers: list[Offer]) -> Texts:
        """Each offer to another peer.  Cost: the size of the swarm."""
        swarm = self._swarms[info_hash]
        others: list[_Member | Far] = []
        if offers:
            others = [member for other, member in swarm.items() if other != peer_id]
        if offers and self._far is not None:
            # Who came here from a node that was killed is there until its time is up.
            others += [far for far in self._far.peers(info_hash) if far.peer_id not in swarm]
        to = chosen(swarm[peer_id], others, len(offers), self._random)
        self._counts["offers"] += len(to)
        return [
            (
                other if isinstance(other, Far) else other.socket,
                _text({
                    "action": "announce",
                    "offer": msgspec.to_builtins(offer.offer),
                    "offer_id": offer.offer_id,
                    "peer_id": peer_id,
                    "info_hash": info_hash,
                }),
            )
            for offer, other in zip(offers, to, strict=False)
        ]  # fmt: skip

    def _answer(self, sender: _Socket, info_hash: str, peer_id: str, message: Incoming, answer: Description) -> Texts:
        to_peer_id = _valid_id(message.to_peer_id, "to_peer_id")
        offer_id = _valid_id(message.offer_id, "offer_id")
        self._check_description(answer, "answer")
        if sender.swarms.get(info_hash) != peer_id:
            raise _Refused("answer from a peer that is not in the swarm; announce first", "stranger")
        member = self._swarms[info_hash].get(to_peer_id)
        receivers: list[int | Far] = [] if member is None else [member.socket]
        if self._far is not None:
            receivers += self._far.holders(info_hash, to_peer_id)
            if not receivers:
                receivers += self._far.guesses(info_hash, to_peer_id)
        if not receivers:
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
        text = _text(relayed)
        return [(receiver, text) for receiver in receivers]

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
        complete, incomplete = self._count_here(info_hash)
        if self._far is not None:
            far_complete, far_incomplete = self._far.counts(info_hash)
            complete, incomplete = complete + far_complete, incomplete + far_incomplete
        return {"complete": complete, "incomplete": incomplete}

    def _count_here(self, info_hash: str) -> tuple[int, int]:
        swarm = self._swarms.get(info_hash, {})
        complete = sum(member.is_complete for member in swarm.values())
        return complete, len(swarm) - complete

    def _remove(self, info_hash: str, peer_id: str) -> None:
        swarm = self._swarms[info_hash]
        del swarm[peer_id]
        self._note_change(info_hash)
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
