"""A run looked at once a second of virtual time: what a swarm does, for pictures.

    filmed(scenario, policy name, strategy maker) -> Outcome, Film

Looking changes nothing: the outcome is the one of `world.run`, byte for byte.
"""

from __future__ import annotations

import msgspec

from ..bandwidth import total
from .outcome import Outcome
from .scenario import Scenario
from .transfer import CdnTransfer
from .viewer import Viewer
from .world import StrategyMaker, World, outcome_of

__all__ = ["ABSENT", "PEERS", "WAITING", "Film", "filmed"]

PEERS = "peers"  # among the sources: all of them together
_EVERY_US = 1_000_000
_LOOKS_MAX = 3_600  # an hour; a longer run is looked at less often
ABSENT, WAITING = -2.0, -1.0  # in place of what a viewer has buffered


class Film(msgspec.Struct, kw_only=True):
    """Rows by moment.  `buffers` is seconds of media by viewer; ABSENT, or WAITING with nothing to play."""

    seconds: list[float] = []
    rates: dict[str, list[float]] = {}  # bytes/s that viewers got from each CDN, and all peers, since the moment before
    buffers: list[list[float]] = []
    held: list[list[float]] = []  # by segment: the share of the viewers present that hold it, in any rendition


def filmed(scenario: Scenario, policy: str, make: StrategyMaker) -> tuple[Outcome, Film]:
    """`world.run`, and what was to be seen meanwhile.  Cost: its own, and viewers x segments for each second."""
    world = World(scenario, make)
    film = Film(rates={name: [] for name in (*world.cdns, PEERS)})
    every_us = max(_EVERY_US, -(-scenario.length_us // _LOOKS_MAX))
    came: dict[str, float] = {}
    world.run(look=lambda: came.update(_look(world, film, came)), every_us=every_us)
    return outcome_of(world, policy), film


def _buffer_s(viewer: Viewer, now_us: int) -> float:
    left_us = viewer.player.left_us(now_us)
    return WAITING if left_us <= 0 and not viewer.player.has_played_all(now_us) else left_us / 1_000_000


def _came(world: World) -> dict[str, float]:
    """All bytes that each source has sent to viewers."""
    came = {name: [float(cdn.sent_bytes)] for name, cdn in world.cdns.items()}
    came[PEERS] = [float(viewer.outcome.sent_bytes) for viewer in world.viewers]
    for viewer in world.viewers:
        for transfer in viewer.transfers.values():
            source = transfer.cdn.spec.name if isinstance(transfer, CdnTransfer) else PEERS
            came[source].append(transfer.uncounted_bytes(world.now_us))
    return {name: total(parts) for name, parts in came.items()}


def _look(world: World, film: Film, before: dict[str, float]) -> dict[str, float]:
    """Adds a row of each; what had come of each source until now."""
    now_s = world.now_us / 1_000_000
    since_s = now_s - (film.seconds[-1] if film.seconds else 0.0)
    came = _came(world)
    for name, bytes_ in came.items():
        film.rates[name].append((bytes_ - before.get(name, 0.0)) / since_s if since_s else 0.0)
    film.seconds.append(now_s)
    here = [viewer for viewer in world.viewers if viewer.is_here]
    film.buffers.append([_buffer_s(viewer, world.now_us) if viewer.is_here else ABSENT for viewer in world.viewers])
    count = world.available() if world.scenario.stream.is_live else world.scenario.stream.segments
    copies = [0] * count
    for viewer in here:
        for number in dict.fromkeys(key.number for key in viewer.held):
            copies[number] += 1
    film.held.append([copy / max(1, len(here)) for copy in copies])
    return came
