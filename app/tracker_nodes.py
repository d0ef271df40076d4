"""What the nodes of one tracker know of each other: who is in which swarm there, and texts for each other's peers.

    update(info_hash, shown)            a swarm here changed, or is told again        -> actions
    heard(payload, now_us)              somebody published, or a key was read         -> a Relay for a peer here
    expire(now_us)                      nodes that told nothing for `ttl_s` are gone
    pass_on(far, text)                  a text for a peer at another node             -> action
    forget()                            the way to the others is cut: each is alone, and goes on with its own peers

A node tells of a swarm, and hears of it, only while it has a peer in it.  It tells everything anew each time: one key
for each swarm and node, which ends by itself after `ttl_s`, and the same bytes published for those who listen.  So what
was lost on the way does harm until the next time, `refresh_s`, and there is nothing to get out of step.

    PREFIX:1:peers:INFO_HASH_IN_HEX:NODE    key: State          PREFIX:1:nodes         sorted set, by their clocks
    PREFIX:1:swarm:INFO_HASH_IN_HEX         channel: State      PREFIX:1:node:NODE     channel: Relay

Who can write there is trusted to be one of us: a State may name any peer.  What cannot be read is counted, and dropped.
Clock and connection belong to the caller; see tracker_redis.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Annotated

import msgspec

from .tracker_messages import About, Far, Shown

__all__ = [
    "Action",
    "Delete",
    "Nodes",
    "NodesLimits",
    "NodesStatistics",
    "Publish",
    "Put",
    "Relay",
    "State",
    "Subscribe",
    "Unsubscribe",
]

_SECOND_US = 1_000_000
_LAYOUT = 1  # of keys and payloads; another one is another tracker


class NodesLimits(msgspec.Struct, frozen=True):
    """What nodes may cost each other."""

    ttl_s: int = 15  # for so long the peers of a node that was killed are offered to
    refresh_s: int = 5  # a third: two in a row may be lost
    nodes_max: int = 64  # with peers in one swarm
    peers_shown_max: int = 200  # of one swarm and node, drawn anew each time: 8 KiB; an announce hands out ten offers
    nodes_asked_max: int = 8  # for a peer that nobody showed: its id may be made up, and each asked costs a message
    payload_bytes_max: int = 128 * 1024  # a description of 16 KiB, and what JSON adds


class NodesStatistics(msgspec.Struct, frozen=True):
    is_connected: bool
    nodes: int  # others, with a peer in a swarm that is here too
    far_peers: int  # in swarms that are here too
    relayed_out: int
    relayed_in: int
    failures: dict[str, int]  # what was not passed on or not understood, by reason


_Id = Annotated[str, msgspec.Meta(min_length=20, max_length=20)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class State(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """One node's part of one swarm; of none, it has left."""

    node: _Name
    serial: _Count  # rises with each of a node, so that an older one, read late, is known
    info_hash: _Id
    complete: _Count
    incomplete: _Count
    peer_ids: Annotated[list[_Id], msgspec.Meta(max_length=1000)]
    # In their order.  A node of before this was said tells none, and passes over what it is told.
    about: Annotated[list[About], msgspec.Meta(max_length=1000)] = []


class Relay(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A text for one peer."""

    info_hash: _Id
    peer_id: _Id
    text: str


class Subscribe(msgspec.Struct, frozen=True):
    """Listen; and once that is so, give what `key(info_hash, node)` holds, of every other node, to `heard`.

    In this order, and with each key written before it is published, nothing falls between.
    """

    channel: str
    info_hash: str


class Unsubscribe(msgspec.Struct, frozen=True):
    channel: str


class Put(msgspec.Struct, frozen=True):
    key: str
    payload: bytes
    ttl_s: int


class Delete(msgspec.Struct, frozen=True):
    key: str


class Publish(msgspec.Struct, frozen=True):
    channel: str
    payload: bytes


Action = Subscribe | Unsubscribe | Put | Delete | Publish


class _FarState(msgspec.Struct):
    state: State
    peers: tuple[Far, ...]
    names: frozenset[str]
    until_us: int


class Nodes:
    """One node, and what it knows of the others.  A FarPeers for its tracker's core."""

    def __init__(self, name: str, *, prefix: str = "shoal", limits: NodesLimits | None = None) -> None:
        """`name` is used by no other node, not even by this one before it was started again."""
        self.name = name
        self.limits = limits or NodesLimits()
        self.is_connected = False  # the caller's to say
        self._prefix = f"{prefix}:{_LAYOUT}"
        self._serial = 0
        self._guessed = 0  # where the next guesses begin
        self._here: set[str] = set()
        self._far: dict[str, dict[str, _FarState]] = {}  # info hash, of those here -> node -> what it told last
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    # --- names -------------------------------------------------------------

    @property
    def nodes_key(self) -> str:
        return f"{self._prefix}:nodes"

    @property
    def channel(self) -> str:
        """Where texts for peers here arrive."""
        return self._node_channel(self.name)

    def key(self, info_hash: str, node: str) -> str:
        return f"{self._prefix}:peers:{_hex(info_hash)}:{node}"

    def _node_channel(self, node: str) -> str:
        return f"{self._prefix}:node:{node}"

    def _swarm_channel(self, info_hash: str) -> str:
        return f"{self._prefix}:swarm:{_hex(info_hash)}"

    # --- what the tracker's core asks --------------------------------------

    def peers(self, info_hash: str) -> Sequence[Far]:
        return [peer for far in self._far.get(info_hash, {}).values() for peer in far.peers]

    def counts(self, info_hash: str) -> tuple[int, int]:
        states = [far.state for far in self._far.get(info_hash, {}).values()]
        return sum(state.complete for state in states), sum(state.incomplete for state in states)

    def holders(self, info_hash: str, peer_id: str) -> Sequence[Far]:
        """Where the peer was shown."""
        states = self._far.get(info_hash, {})
        return [Far(node, info_hash, peer_id) for node, far in states.items() if peer_id in far.names]

    def guesses(self, info_hash: str, peer_id: str) -> Sequence[Far]:
        """Nodes that have more peers than they show, `nodes_asked_max` of them, and the next ones the next time."""
        states = self._far.get(info_hash, {})
        found = [node for node, far in states.items() if len(far.names) < far.state.complete + far.state.incomplete]
        asked_max = self.limits.nodes_asked_max
        if len(found) > asked_max:
            self._failures["nodes_not_asked"] += len(found) - asked_max
            first = self._guessed % len(found)
            found = [*found[first:], *found[:first]][:asked_max]
            self._guessed = first + asked_max
        return [Far(node, info_hash, peer_id) for node in found]

    # --- what happens here -------------------------------------------------

    def update(self, info_hash: str, shown: Shown | None) -> list[Action]:
        """Tell how a swarm is here; `shown` is None when nobody is left in it.  Say it anew every `refresh_s`, and of
        every swarm that is `told`."""
        key, channel = self.key(info_hash, self.name), self._swarm_channel(info_hash)
        actions: list[Action] = []
        if shown is None:
            if info_hash not in self._here:
                return []
            self._here.remove(info_hash)
            self._far.pop(info_hash, None)
            return [Unsubscribe(channel), Delete(key), Publish(channel, self._state(info_hash, Shown(0, 0, [])))]
        if info_hash not in self._here:
            self._here.add(info_hash)
            actions.append(Subscribe(channel, info_hash))
        payload = self._state(info_hash, shown)
        return [*actions, Put(key, payload, self.limits.ttl_s), Publish(channel, payload)]

    def told(self) -> list[str]:
        """The swarms that others know to have peers here."""
        return list(self._here)

    def leave(self) -> list[Action]:
        """Tell the others that nobody is here any more."""
        return [action for info_hash in self.told() for action in self.update(info_hash, None)]

    def pass_on(self, far: Far, text: str) -> Publish | None:
        """None, and counted, where nobody can be reached."""
        if not self.is_connected:
            self._failures["nodes_away"] += 1
            return None
        self._counts["relayed_out"] += 1
        payload = msgspec.msgpack.encode(Relay(far.info_hash, far.peer_id, text))
        return Publish(self._node_channel(far.node), payload)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Something was not passed on; `reason` is the stable word that counts it."""
        self._failures[reason] += count

    def forget(self) -> None:
        """Nothing can be heard any more, so nothing is known; `update` begins anew with every swarm."""
        self.is_connected = False
        self._here.clear()
        self._far.clear()

    # --- what others say ---------------------------------------------------

    def heard(self, payload: bytes, now_us: int, remaining_us: int | None = None) -> Relay | None:
        """Take in what was published, or read from a key that ends in `remaining_us`."""
        if len(payload) > self.limits.payload_bytes_max:
            self._failures["node_message_too_large"] += 1
            return None
        try:
            message = msgspec.msgpack.decode(payload, type=State | Relay)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):  # somebody else's, under the same prefix
            self._failures["node_message_malformed"] += 1
            return None
        if isinstance(message, Relay):
            self._counts["relayed_in"] += 1
            return message
        ttl_us = self.limits.ttl_s * _SECOND_US
        self._take(message, now_us + (ttl_us if remaining_us is None else min(remaining_us, ttl_us)))
        return None

    def expire(self, now_us: int) -> None:
        """Drop what nobody told again in time."""
        for states in self._far.values():
            for node in [node for node, far in states.items() if far.until_us <= now_us]:
                del states[node]
                self._failures["node_expired"] += 1

    def statistics(self) -> NodesStatistics:
        every = [far.state for states in self._far.values() for far in states.values()]
        return NodesStatistics(
            is_connected=self.is_connected,
            nodes=len({state.node for state in every}),
            far_peers=sum(state.complete + state.incomplete for state in every),
            relayed_out=self._counts["relayed_out"],
            relayed_in=self._counts["relayed_in"],
            failures=dict(self._failures),
        )

    def _take(self, state: State, until_us: int) -> None:
        if state.node == self.name or state.info_hash not in self._here:
            return  # our own words, or of a swarm that we have just left
        states = self._far.setdefault(state.info_hash, {})
        known = states.get(state.node)
        if known is not None and state.serial < known.state.serial:
            return
        if not state.complete + state.incomplete:
            states.pop(state.node, None)
        elif known is None and len(states) >= self.limits.nodes_max:
            self._failures["too_many_nodes"] += 1
        else:
            peers = tuple(
                Far(state.node, state.info_hash, peer_id, about.network, about.is_complete)
                for peer_id, about in zip(state.peer_ids, chain(state.about, repeat(About())), strict=False)
            )
            states[state.node] = _FarState(state, peers, frozenset(state.peer_ids), until_us)

    def _state(self, info_hash: str, shown: Shown) -> bytes:
        self._serial += 1
        return msgspec.msgpack.encode(
            State(self.name, self._serial, info_hash, shown.complete, shown.incomplete, shown.peer_ids, shown.about)
        )


def _hex(info_hash: str) -> str:
    return info_hash.encode("latin-1").hex()
