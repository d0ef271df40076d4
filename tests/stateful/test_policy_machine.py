"""The policy and its assemblies in a simulated world of good, slow, broken and lying sources.

The world keeps virtual time, carries out every action, and checks each as it comes:

    never two running transfers for one peer, nor for one resource unless they race, and never three
    a peer is asked only for what it announced, a banned one for nothing
    a transfer goes on from the byte that was reached
    nobody honest is blamed; what completes is right
    with one healthy CDN everything requested completes, within a bounded number of transfers
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.assembly import Assembly, Blamed, Completed, Discarded, HashJob, Refused
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    BanPeer,
    BytesDiscarded,
    CancelTransfer,
    CdnAdded,
    DropPartial,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    PeerJoined,
    PeerLeft,
    RequestFromPeer,
    ResourceCompleted,
    ResourceReleased,
    ResourceRequested,
    SegmentsListed,
    SourceBlamed,
    TimePassed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
    WakeAt,
)
from shoal.balancer.integrity import Digests
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.policy import WHY, Policy

from ..effort import EFFORT

MS = 1_000
SECOND = 1_000_000
SIZE = 24_000
BLOCK = 4_000
SEGMENTS = 6
SEGMENT_US = 4 * SECOND

HONEST = ("good", "slow", "hang", "drip", "unavailable", "missing", "cut", "refused")
LYING = ("wrong", "wrong end", "wrong length", "surplus")


def body(number: int) -> bytes:
    return hashlib.shake_256(bytes([number])).digest(SIZE)


def digests(number: int, *, blocks: bool) -> Digests:
    data = body(number)
    cut = tuple(hashlib.sha256(data[i : i + BLOCK]).digest() for i in range(0, SIZE, BLOCK))
    return Digests(SIZE, hashlib.sha256(data).digest(), BLOCK, cut if blocks else ())


def script(behaviour: str, number: int, first_byte: int) -> Iterator[tuple[int, object]]:
    """(delay, what comes then): total length, bytes, or the reason of a failure; at the end, None."""
    data = body(number)[first_byte:]
    pause_us = 30 * MS
    match behaviour:
        case "hang":
            return
        case "unavailable" | "missing" | "refused":
            yield 20 * MS, {"unavailable": 503, "missing": 404, "refused": "connect"}[behaviour]
            return
        case "wrong":
            data = bytes(255 - byte for byte in data)
        case "wrong end":
            data = data[:-1] + bytes([255 - data[-1]]) if data else data
        case "surplus":
            data += b"surplus"
        case "slow":
            pause_us = 1_500 * MS
    yield 40 * MS, ("length", SIZE + (1 if behaviour == "wrong length" else 0))
    if behaviour == "drip":
        for byte in data:
            yield SECOND, bytes([byte])
    for start in range(0, len(data), 3_000):
        if behaviour == "cut" and start >= 6_000:
            yield 10 * MS, "closed"
            return
        yield pause_us, data[start : start + 3_000]
    yield 0, None


class World:
    def __init__(self, behaviours: dict[str, list[str]], *, blocks: bool, seed: int, race_share: float) -> None:
        """`behaviours`: by source label, for its transfers in turn."""
        self.policy = Policy(BalancerConfig(race_share=race_share), seed)
        self.behaviours = behaviours
        self.blocks = blocks
        self.now_us = 0
        self.wake_us: int | None = None
        self.queue: list[tuple[int, int, int, object]] = []
        self.order = 0
        self.running: dict[int, tuple[ResourceKey, str, str, Iterator]] = {}
        self.offsets: dict[int, int] = {}
        self.assemblies: dict[ResourceKey, Assembly] = {}
        self.done: set[ResourceKey] = set()
        self.given_up: dict[ResourceKey, str] = {}
        self.held: dict[str, frozenset[int]] = {}
        self.banned: set[str] = set()
        self.transfer_count: dict[str, int] = {}
        self.cancelled: list[tuple[int, str]] = []
        self.actions: list = []

    # --- actions ---

    def feed(self, event: object) -> None:
        for action in self.policy.handle(event, self.now_us):
            self.actions.append((self.now_us, action))
            self.carry_out(action)

    def carry_out(self, action: object) -> None:
        match action:
            case FetchFromCdn(transfer, cdn, key):
                self.start(action, f"cdn:{cdn}")
            case RequestFromPeer(transfer, peer, key):
                assert peer not in self.banned
                assert key.number in self.held[peer]
                assert f"peer:{peer}" not in {label for _, label, _, _ in self.running.values()}
                self.start(action, f"peer:{peer}")
            case CancelTransfer(transfer, reason):
                del self.running[transfer]
                self.cancelled.append((transfer, reason))
            case BanPeer(peer, _):
                self.banned.add(peer)
                assert f"peer:{peer}" not in {label for _, label, _, _ in self.running.values()}
            case GiveUp(key, reason):
                self.given_up[key] = reason
                self.assemblies.pop(key, None)
            case DropPartial(key):
                del self.assemblies[key]
            case WakeAt(time_us):
                assert time_us > self.now_us
                self.wake_us = time_us

    def start(self, action: FetchFromCdn | RequestFromPeer, label: str) -> None:
        key = action.key
        assert action.why in WHY
        running = [other for other, _, _, _ in self.running.values()].count(key)
        assert running <= (1 if action.why == "race" else 0)
        assert key not in self.done
        assert action.first_byte == self.assembly(key).end_bytes
        turn = self.transfer_count.get(label, 0)
        self.transfer_count[label] = turn + 1
        behaviour = self.behaviours[label][turn % len(self.behaviours[label])]
        steps = script(behaviour, key.number, action.first_byte)
        self.running[action.transfer] = (key, label, behaviour, steps)
        self.offsets[action.transfer] = action.first_byte
        self.plan(action.transfer)

    def assembly(self, key: ResourceKey) -> Assembly:
        if key not in self.assemblies:
            known = digests(key.number, blocks=self.blocks)
            self.assemblies[key] = Assembly(known, segment_bytes_max=1 << 20, hold_back_bytes=2_000)
        return self.assemblies[key]

    # --- events ---

    def plan(self, transfer: int) -> None:
        following = next(self.running[transfer][3], "silence")
        if following != "silence":
            self.at(self.now_us + following[0], transfer, following[1])

    def at(self, time_us: int, transfer: int, what: object) -> None:
        self.order += 1
        heapq.heappush(self.queue, (time_us, self.order, transfer, what))

    def run(self, until_us: int) -> None:
        while True:
            next_us = self.queue[0][0] if self.queue else until_us + 1
            if self.wake_us is not None and self.wake_us < next_us and self.wake_us <= until_us:
                self.now_us, self.wake_us = self.wake_us, None
                self.feed(TimePassed())
            elif next_us <= until_us:
                self.now_us, _, transfer, what = heapq.heappop(self.queue)
                if isinstance(what, tuple) and what[0] == "hash":
                    self.hashed(*what[1:])
                elif transfer in self.running:
                    self.happen(transfer, what)
            else:
                self.now_us = until_us
                return

    def happen(self, transfer: int, what: object) -> None:
        key, label, _, _ = self.running[transfer]
        resource = self.assembly(key)
        match what:
            case ("length", total_bytes):
                self.feed(TransferStarted(transfer, total_bytes))
                if transfer in self.running:
                    self.follow(key, transfer, resource.begin(label, total_bytes, None))
            case bytes():
                before = resource.end_bytes
                repeated = max(0, min(len(what), before - self.offsets[transfer]))
                steps = resource.add(label, what, self.offsets[transfer])
                self.offsets[transfer] += len(what)
                self.feed(TransferProgressed(transfer, resource.end_bytes - before, repeated_bytes=repeated))
                self.follow(key, transfer, steps)
            case None:
                steps = resource.end(label)
                if not any(isinstance(step, Refused) for step in steps):
                    del self.running[transfer]
                    self.feed(TransferEnded(transfer))
                self.follow(key, transfer, steps)
            case int():
                del self.running[transfer]
                self.feed(TransferFailed(transfer, "status", status=what))
            case str():
                del self.running[transfer]
                self.feed(TransferFailed(transfer, what))
        if transfer in self.running:
            self.plan(transfer)

    def hashed(self, key: ResourceKey, job: HashJob) -> None:
        if key in self.assemblies:
            self.follow(key, None, self.assemblies[key].hashed(job, hashlib.sha256(job.data).digest()))

    def follow(self, key: ResourceKey, transfer: int | None, steps: list) -> None:
        for step in steps:
            match step:
                case HashJob():
                    self.at(self.now_us + 5 * MS, 0, ("hash", key, step))
                case Discarded(keep_bytes, None, suspects):
                    self.feed(BytesDiscarded(key, suspects, keep_bytes))
                case Discarded(keep_bytes, blamed):
                    self.blame(key, blamed, keep_bytes)
                case Blamed(source):
                    self.blame(key, source, self.assembly(key).end_bytes)
                case Refused(_, reason):
                    if transfer in self.running:
                        del self.running[transfer]
                        self.feed(TransferFailed(transfer, reason))
                case Completed(byte_count):
                    assert self.assemblies.pop(key).take() == body(key.number)
                    self.done.add(key)
                    for number in [n for n, running in self.running.items() if running[0] == key]:
                        if self.offsets[number] >= byte_count:
                            del self.running[number]
                    self.feed(ResourceCompleted(key, byte_count))
                    assert key not in {running for running, _, _, _ in self.running.values()}

    def blame(self, key: ResourceKey, source: str, keep_bytes: int) -> None:
        assert any(behaviour in LYING for behaviour in self.behaviours[source])
        self.feed(SourceBlamed(key, source, keep_bytes))


def at(number: int) -> dict:
    """When a segment plays, and that its hashes are known."""
    return {"start_us": number * SEGMENT_US, "duration_us": SEGMENT_US, "is_hashed": True}


def key_of(number: int) -> ResourceKey:
    return ResourceKey(0, Kind.MEDIA, number)


def world_of(
    behaviours: dict[str, list[str]], *, blocks: bool = True, seed: int = 0, race_share: float = 0.03
) -> World:
    """A `race_share` of 1 lets a stream of so few bytes race at all."""
    world = World(behaviours, blocks=blocks, seed=seed, race_share=race_share)
    segments = tuple(Segment(key=key_of(i), uri=f"{i}.m4s", **at(i)) for i in range(SEGMENTS))
    for label in behaviours:
        if label.startswith("cdn:"):
            world.feed(CdnAdded(label.removeprefix("cdn:")))
    world.feed(SegmentsListed(0, segments, is_live=False))
    return world


def join(world: World, peer: str, held: frozenset[int], address: str | None = None) -> None:
    world.held[peer] = held
    world.feed(PeerJoined(peer, 0, fingerprint=f"sha-256 {peer}", address=address))
    if peer not in world.banned:
        world.feed(PeerAnnounced(peer, held, frozenset()))


def watch(world: World, *, buffer_us: int = 12 * SECOND, patience_us: int = 120 * SECOND) -> int:
    """Play all segments as a player does that keeps a buffer, and give how long it stalled."""
    start_us: int | None = None
    stalled_us = 0
    for number in range(SEGMENTS):
        key = key_of(number)
        if start_us is not None:
            world.run(max(world.now_us, start_us + number * SEGMENT_US - buffer_us))
        asked_us = world.now_us
        world.feed(ResourceRequested(key))
        while key not in world.done:
            world.run(world.now_us + 50 * MS)
            assert world.now_us - asked_us < patience_us, f"{key} neither completed nor given up"
            if world.given_up.pop(key, None) is not None:
                world.feed(ResourceRequested(key))
        if start_us is None:
            start_us = world.now_us
        late_us = max(0, world.now_us - start_us - number * SEGMENT_US)
        start_us += late_us
        stalled_us += late_us
    return stalled_us


BEHAVIOURS = st.lists(st.sampled_from(HONEST + LYING), min_size=1, max_size=3)


@settings(max_examples=60 * EFFORT, deadline=None)
@given(
    cdn=BEHAVIOURS,
    peers=st.lists(BEHAVIOURS, max_size=3),
    held=st.lists(st.frozensets(st.integers(0, SEGMENTS - 1)), min_size=3, max_size=3),
    blocks=st.booleans(),
    healthy_first=st.booleans(),
    seed=st.integers(0, 1000),
    races=st.booleans(),
)
def test_with_one_healthy_cdn_everything_requested_completes(*, cdn, peers, held, blocks, healthy_first, seed, races):
    behaviours = {"cdn:healthy": ["good"]} if healthy_first else {}
    behaviours["cdn:other"] = cdn
    behaviours["cdn:healthy"] = ["good"]
    behaviours |= {f"peer:{place}": list(peer) for place, peer in enumerate(peers)}
    world = world_of(behaviours, blocks=blocks, seed=seed, race_share=float(races))
    for place in range(len(peers)):
        join(world, str(place), held[place])
    watch(world)
    assert not world.given_up
    assert sum(world.transfer_count.values()) <= 10 * SEGMENTS
    world.run(world.now_us + 60 * SECOND)
    assert not world.running


@settings(max_examples=40 * EFFORT, deadline=None)
@given(
    cdns=st.lists(BEHAVIOURS, min_size=1, max_size=2),
    peer=BEHAVIOURS,
    seed=st.integers(0, 1000),
    deeds=st.lists(
        st.tuples(st.sampled_from(["ask", "release", "leave", "join", "wait", "slide"]), st.integers(0, SEGMENTS - 1)),
        max_size=25,
    ),
)
def test_whatever_happens_each_request_ends_in_completion_or_giving_up(cdns, peer, seed, deeds):
    behaviours = {f"cdn:{place}": list(cdn) for place, cdn in enumerate(cdns)} | {"peer:p": list(peer)}
    world = world_of(behaviours, seed=seed, race_share=float(seed % 2))
    asked: dict[ResourceKey, None] = {}
    is_here = False
    for deed, number in deeds:
        key = key_of(number)
        match deed:
            case "ask":
                world.given_up.pop(key, None)
                asked[key] = None
                world.feed(ResourceRequested(key))
            case "release":
                asked.pop(key, None)
                world.feed(ResourceReleased(key))
            case "join" if not is_here:
                join(world, "p", frozenset(range(number, SEGMENTS)))
                is_here = "p" not in world.banned
            case "leave" if is_here:
                lost = [n for n, (_, label, _, _) in world.running.items() if label == "peer:p"]
                for transfer in lost:
                    del world.running[transfer]
                    world.feed(TransferFailed(transfer, "closed"))
                world.feed(PeerLeft("p", "closed"))
                is_here = False
            case "wait":
                world.run(world.now_us + number * 700 * MS)
            case "slide":
                left = tuple(
                    Segment(
                        key=key_of(i), uri=f"{i}.m4s", start_us=i * SEGMENT_US, duration_us=SEGMENT_US, is_hashed=True
                    )
                    for i in range(number, SEGMENTS)
                )
                world.feed(SegmentsListed(0, left, is_live=True))
        is_here = is_here and "p" not in world.banned
    world.run(world.now_us + 300 * SECOND)
    assert all(key in world.done or key in world.given_up for key in asked)
    assert not world.running


@settings(max_examples=15 * EFFORT, deadline=None)
@given(cdn=BEHAVIOURS, peer=BEHAVIOURS, seed=st.integers(0, 1000))
def test_the_same_events_at_the_same_times_give_the_same_actions(cdn, peer, seed):
    runs = []
    for _ in range(2):
        world = world_of({"cdn:other": cdn, "cdn:healthy": ["good"], "peer:p": peer}, seed=seed)
        join(world, "p", frozenset(range(SEGMENTS)))
        watch(world)
        runs.append(world.actions)
    assert runs[0] == runs[1]


def test_a_dead_hanging_dripping_or_lying_cdn_stalls_nobody_after_the_start():
    for behaviour in ("hang", "drip", "unavailable", "cut", "refused", "wrong", "slow"):
        world = world_of({"cdn:bad": [behaviour], "cdn:good": ["good"]})
        assert watch(world) == 0, behaviour
        assert world.now_us < SEGMENTS * SEGMENT_US + 2 * SECOND
