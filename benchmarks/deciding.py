"""What one decision costs: a viewer among 5 CDNs and some peers asks for one segment after the other.

Each segment's events are the request, which is what is timed, and those of the transfers that follow from it.
"""

from __future__ import annotations

import random
import statistics
import time

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    CdnAdded,
    PeerAnnounced,
    PeerJoined,
    ResourceCompleted,
    ResourceRequested,
    SegmentsListed,
    TransferEnded,
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
        running = [(action.transfer, action.key) for action in actions if hasattr(action, "transfer")]
        while running:
            transfer, what = running.pop()
            now_us += 100_000
            more = policy.handle(TransferStarted(transfer, SEGMENT_BYTES), now_us)
            more += policy.handle(TransferEnded(transfer), now_us + 50_000)
            more += policy.handle(ResourceCompleted(what, SEGMENT_BYTES), now_us + 50_000)
            running += [(a.transfer, a.key) for a in more if hasattr(a, "key") and hasattr(a, "first_byte")]
        now_us += 500_000
    return took_ns


def median_us(peers: int) -> float:
    return statistics.median(decide(peers)) / 1000
