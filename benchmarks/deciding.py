"""What one decision costs: a viewer among 5 CDNs and some peers asks for one segment after the other.

Each segment's events are the request, which is what is timed, and those of the transfers that follow from it: each
brings all bytes at once, unless the policy has ended it before.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterable

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    Action,
    CancelTransfer,
    CdnAdded,
    FetchFromCdn,
    PeerAnnounced,
    PeerJoined,
    RequestFromPeer,
    ResourceCompleted,
    ResourceRequested,
    SegmentsListed,
    TransferEnded,
    TransferProgressed,
    TransferStarted,
)
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.policy import Policy

__all__ = ["decide", "median_us"]

CDNS = 5
SEGMENT_BYTES = 500_000
SEGMENT_US = 2_000_000


def decide(peers: int, segments: int = 200) -> list[int]:
    """CPU time of each request's decision, in nanoseconds.  Each peer holds half of the segments, by lot."""
    policy, chance, now_us = Policy(BalancerConfig(), 1), random.Random(1), 0
    for number in range(CDNS):
        policy.handle(CdnAdded(f"cdn{number}", price_per_gb=1.0 + number), now_us)
    listed = tuple(
        Segment(
            key=ResourceKey(0, Kind.MEDIA, number),
            uri="",
            start_us=number * SEGMENT_US,
            duration_us=SEGMENT_US,
            is_hashed=True,
        )
        for number in range(segments + segments // 2)
    )
    policy.handle(SegmentsListed(0, listed, is_live=False), now_us)
    for number in range(peers):
        policy.handle(PeerJoined(f"peer{number}", 0), now_us)
        held = frozenset(segment.key.number for segment in listed if chance.random() < 0.5)
        policy.handle(PeerAnnounced(f"peer{number}", held, frozenset()), now_us)
    took_ns = []
    for segment in listed[:segments]:
        began_ns = time.thread_time_ns()
        actions = policy.handle(ResourceRequested(segment.key), now_us)
        took_ns.append(time.thread_time_ns() - began_ns)
        running: dict[int, ResourceKey] = {}
        _note(running, actions)
        while running:
            transfer, what = next(reversed(running.items()))
            for event, after_us in (
                (TransferStarted(transfer, SEGMENT_BYTES), 100_000),
                (TransferProgressed(transfer, SEGMENT_BYTES), 50_000),
                (TransferEnded(transfer), 0),
                (ResourceCompleted(what, SEGMENT_BYTES), 0),
            ):
                if transfer in running:
                    now_us += after_us
                    _note(running, policy.handle(event, now_us))
            running.pop(transfer, None)
        now_us += 500_000
    return took_ns


def _note(running: dict[int, ResourceKey], actions: Iterable[Action]) -> None:
    """Which transfers run now."""
    for action in actions:
        if isinstance(action, FetchFromCdn | RequestFromPeer):
            running[action.transfer] = action.key
        elif isinstance(action, CancelTransfer):
            running.pop(action.transfer, None)


def median_us(peers: int) -> float:
    return statistics.median(decide(peers)) / 1000
