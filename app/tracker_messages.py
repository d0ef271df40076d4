"""What a WebTorrent tracker's clients may send, what they may cost, and what is counted of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec

__all__ = [
    "About",
    "Description",
    "Far",
    "FarPeers",
    "Incoming",
    "Offer",
    "Shown",
    "TrackerLimits",
    "TrackerStatistics",
]


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
    # What waits for one client: 16 of the longest descriptions, some minutes of usual ones for one in a large swarm.
    queue_bytes_max: int = 256 * 1024
    # And for all: 256 of them that do not read at all, or 6 KiB for each of `sockets_max`.  Then who has most is cut.
    queues_bytes_max: int = 64 * 1024 * 1024
    sockets_max: int = 10_000
    sockets_per_address_max: int = 512  # a school behind one address; of IPv6 behind one /64, which is one host's too
    # Noted as changed until other nodes are told of them: 2 MiB, and what 10,000 sockets join in some seconds.  For as
    # long as Redis does not answer, clients may make up swarms.
    changed_swarms_max: int = 16_384
    # Of one token's holder.  A page has a socket for each rendition that it plays, or played in the last minute: eight
    # of a whole ladder and audio.  Four pages, then, or three and one that is just being loaded again.
    sockets_per_subject_max: int = 32
    token_grace_s: float = 60.0  # a socket stays so long after its token has ended: clocks differ, and pages renew late


class TrackerStatistics(msgspec.Struct, frozen=True):
    sockets: int
    swarms: int
    peers: int  # memberships: a page in two swarms counts twice
    announces: int
    offers_relayed: int
    answers_relayed: int
    sockets_unnamed: int  # that a trusted proxy brought without a legible word of whose they are, of all there were
    failures: dict[str, int]  # messages refused or not passed on, by reason


class Description(msgspec.Struct, frozen=True):
    type: str
    sdp: str


class Offer(msgspec.Struct, frozen=True):
    offer: Description
    offer_id: str


class Incoming(msgspec.Struct, frozen=True):
    """Every field that a client may send; what else it sends is passed over."""

    action: str | None = None
    info_hash: str | list[str] | None = None
    peer_id: str | None = None
    to_peer_id: str | None = None
    event: str | None = None
    left: float | None = None
    numwant: float | None = None
    offers: list[Offer] | None = None
    offer_id: str | None = None
    answer: Description | None = None


class Far(msgspec.Struct, frozen=True):
    """A peer whose socket is at another node of this tracker; where it is and what it has, as far as that is known."""

    node: str
    info_hash: str
    peer_id: str
    network: str = ""
    is_complete: bool = False


class About(msgspec.Struct, frozen=True, array_like=True):
    """What the choice of peers goes by."""

    network: Annotated[str, msgspec.Meta(max_length=24)] = ""  # 48 bits in hex, and how many they are
    is_complete: bool = False


class Shown(msgspec.Struct, frozen=True):
    """What other nodes are shown of a swarm here: how many are in it, and some of them, with what is known of each."""

    complete: int
    incomplete: int
    peer_ids: list[str]
    about: list[About] = []


class FarPeers(Protocol):
    """What a tracker knows of its other nodes; `tracker_nodes.py`."""

    def peers(self, info_hash: str) -> Sequence[Far]:
        """Those of them that are known by name."""
        ...

    def counts(self, info_hash: str) -> tuple[int, int]:
        """How many have everything, and how many have not."""
        ...

    def holders(self, info_hash: str, peer_id: str) -> Sequence[Far]:
        """That peer at each node where it was shown."""
        ...

    def guesses(self, info_hash: str, peer_id: str) -> Sequence[Far]:
        """A peer that was shown nowhere, at some of the nodes where it may be."""
        ...
