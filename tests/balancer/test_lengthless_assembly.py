"""A segment whose hash is known and whose length is not: claims of the length, and what a wrong one does."""

from __future__ import annotations

import hashlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.balancer.assembly import Blamed, Completed, Discarded, HashJob, Refused, Verified
from shoal.balancer.lengthless_assembly import LengthlessAssembly

from ..effort import EFFORT

RIGHT = bytes(range(200)) * 5  # 1000
WRONG = bytes(byte ^ 1 for byte in RIGHT)


def segment(right: bytes = RIGHT) -> LengthlessAssembly:
    return LengthlessAssembly(hashlib.sha256(right).digest(), segment_bytes_max=4000, hold_back_bytes=100)


def deliver(one: LengthlessAssembly, source: str, data: bytes, *, until: int | None = None, says: int | None) -> list:
    at = one.end_bytes
    steps = one.begin(source, says, None)
    if any(isinstance(step, Refused | Discarded) for step in steps):
        return steps
    steps = steps + one.add(source, data[at:until], at)
    steps += one.end(source) if until is None else []
    return [step for step in steps if not isinstance(step, Verified)]


def judge(one: LengthlessAssembly, steps: list) -> list:
    (job,) = steps
    assert isinstance(job, HashJob)
    return one.hashed(job, hashlib.sha256(job.data).digest())


def test_what_a_peer_sent_is_read_once_its_hash_is_right():
    one = segment()
    steps = deliver(one, "peer:p", RIGHT, says=1000)
    assert one.readable_bytes == 0
    assert one.total_bytes is None  # its word is not passed on
    assert judge(one, steps) == [Completed(1000, "segment")]
    assert one.take() == RIGHT


def test_what_a_cdn_sends_streams_but_for_its_end_which_waits_for_the_hash():
    one = segment()
    deliver(one, "cdn:a", RIGHT, until=950, says=1000)
    assert one.read(0, 1000) == RIGHT[:900]
    steps = deliver(one, "cdn:a", RIGHT, says=1000)
    assert one.readable_bytes == 900
    assert judge(one, steps) == [Completed(1000, "segment")]


def test_a_peer_that_cut_it_short_or_made_it_longer_is_blamed_when_its_hash_is_wrong():
    for data in (RIGHT[:-1], RIGHT + b"x", WRONG):
        one = segment()
        steps = judge(one, deliver(one, "peer:liar", data, says=len(data)))
        assert steps == [Discarded(0, "peer:liar", ("peer:liar",), False)]
        assert judge(one, deliver(one, "peer:honest", RIGHT, says=1000)) == [Completed(1000, "segment")]


def test_a_cdn_that_says_another_length_takes_the_place_of_peers_and_blames_nobody():
    one = segment()
    deliver(one, "peer:p", RIGHT, until=500, says=1000)
    assert deliver(one, "cdn:error-page", b"sorry", says=5) == [Discarded(0, None, (), False)]
    assert deliver(one, "peer:p", RIGHT, says=1000) == [Refused("peer:p", "unhashed")]  # not before the CDN is judged
    assert judge(one, deliver(one, "cdn:error-page", b"sorry", says=5))[0].blamed == "cdn:error-page"
    assert judge(one, deliver(one, "peer:p", RIGHT, says=1000)) == [Completed(1000, "segment")]


def test_a_cdn_whose_bytes_differ_from_those_of_a_peer_is_asked_alone():
    one = segment()
    deliver(one, "peer:liar", WRONG, until=500, says=1000)
    one.begin("cdn:a", 1000, None)
    assert one.add("cdn:a", RIGHT[:200], 0) == [Discarded(0, None, (), False)]
    assert judge(one, deliver(one, "cdn:a", RIGHT, says=1000)) == [Completed(1000, "segment")]


def test_two_peers_that_contradict_each_other_are_told_apart_by_the_hash():
    one = segment()
    deliver(one, "peer:liar", RIGHT, until=500, says=700)
    assert deliver(one, "peer:honest", RIGHT, says=1000) == [Refused("peer:honest", "changed")]
    steps = judge(one, deliver(one, "peer:liar", RIGHT[:700], says=700))
    assert steps == [Discarded(0, "peer:liar", ("peer:liar",), False)]


def test_of_two_that_made_a_wrong_whole_only_who_sent_other_bytes_is_blamed_once_the_right_ones_are_there():
    one = segment()
    deliver(one, "peer:honest", RIGHT, until=500, says=1000)
    steps = judge(one, deliver(one, "peer:liar", WRONG, says=1000))
    assert steps == [Discarded(0, None, ("peer:honest", "peer:liar"), False)]
    steps = judge(one, deliver(one, "cdn:a", RIGHT, says=1000))
    assert steps == [Blamed("peer:liar", "hash"), Completed(1000, "segment")]


def test_what_comes_while_the_hash_is_being_computed_changes_nothing():
    one = segment()
    steps = deliver(one, "peer:p", RIGHT, says=1000)
    assert one.begin("cdn:a", 5, None) == one.add("cdn:a", b"sorry", 0) == one.end("cdn:a") == []
    assert judge(one, steps) == [Completed(1000, "segment")]


def test_nobody_sends_more_than_a_segment_may_have():
    one = segment()
    assert one.begin("peer:p", 4001, None) == [Refused("peer:p", "too_large")]
    one.begin("cdn:a", None, None)
    assert one.add("cdn:a", bytes(4001), 0) == [Refused("cdn:a", "too_large")]


HONEST = ("cdn:a", "peer:h")
LIARS = ("cdn:x", "peer:y", "peer:z")


class LengthlessMachine(RuleBasedStateMachine):
    """As tests/stateful/test_assembly_machine.py: sources that lie about bytes, and about how many there are."""

    @initialize(size=st.integers(0, 23))
    def begin(self, size: int) -> None:
        self.right = bytes(i * 7 % 251 for i in range(size))
        self.resource = LengthlessAssembly(
            hashlib.sha256(self.right).digest(), segment_bytes_max=100, hold_back_bytes=3
        )
        self.jobs: list[HashJob] = []
        self.blamed: set[str] = set()
        self.read = b""

    def follow(self, steps: list) -> None:
        for step in steps:
            match step:
                case HashJob():
                    self.jobs.append(step)
                case Blamed(source, reason):
                    assert reason == "hash"
                    self.blame(source)
                case Discarded(keep_bytes, blamed, _, breaks_readers):
                    assert self.resource.end_bytes == keep_bytes
                    assert breaks_readers == (keep_bytes < len(self.read))
                    self.read = self.read[:keep_bytes]
                    if blamed is not None:
                        self.blame(blamed)
                case Completed(byte_count, verified):
                    assert byte_count == len(self.right)
                    assert verified == "segment"
                    assert self.resource.take() == self.right

    def blame(self, source: str) -> None:
        assert source in LIARS
        assert source not in self.blamed
        self.blamed.add(source)

    @rule(source=st.sampled_from(HONEST + LIARS), says=st.booleans())
    def announce(self, source: str, says: bool) -> None:
        self.follow(self.resource.begin(source, len(self.right) if says else None, None))

    @rule(source=st.sampled_from(LIARS), total=st.integers(0, 120))
    def announce_otherwise(self, source: str, total: int) -> None:
        self.follow(self.resource.begin(source, total, None))

    @rule(source=st.sampled_from(HONEST + LIARS), count=st.integers(1, 9), back=st.integers(0, 3))
    def deliver(self, source: str, count: int, back: int) -> None:
        start = max(0, self.resource.end_bytes - back)
        if data := self.right[start : start + count]:
            self.follow(self.resource.add(source, data, start))

    @rule(source=st.sampled_from(LIARS), data=st.binary(min_size=1, max_size=9), back=st.integers(0, 3))
    def lie(self, source: str, data: bytes, back: int) -> None:
        self.follow(self.resource.add(source, data, max(0, self.resource.end_bytes - back)))

    @rule(source=st.sampled_from(LIARS))
    def end_early(self, source: str) -> None:
        self.follow(self.resource.end(source))

    @rule()
    def somebody_reads(self) -> None:
        self.read += self.resource.read(len(self.read), 100)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def hash_one(self, data: st.DataObject) -> None:
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        self.follow(self.resource.hashed(job, hashlib.sha256(job.data).digest()))

    @invariant()
    def nothing_of_a_peer_is_readable_before_its_hash_was_right(self) -> None:
        if self.resource.completed:
            assert self.resource.read(0, 100) == self.right
            return
        readable = self.resource.readable_bytes
        assert len(self.read) <= readable or readable == 0
        assert not any(span.source.startswith("peer:") for span in self.resource._pieces(0, readable))

    @invariant()
    def every_byte_held_is_accounted_for(self) -> None:
        accounts = self.resource.sources().values()
        assert sum(account.used_bytes for account in accounts) == self.resource.end_bytes
        assert all(account.used_bytes >= 0 and account.wasted_bytes >= 0 for account in accounts)

    def teardown(self) -> None:
        if not hasattr(self, "resource"):
            return
        for _ in range(20):  # an honest CDN, which is asked again whenever something went
            while self.jobs:
                job = self.jobs.pop(0)
                self.follow(self.resource.hashed(job, hashlib.sha256(job.data).digest()))
            if self.resource.completed:
                return
            at = self.resource.end_bytes
            steps = self.resource.begin("cdn:a", len(self.right), None)
            if any(isinstance(step, Refused) for step in steps):
                # Another CDN has said another length, of which bytes are held: its transfer goes on, or is given up.
                self.resource = LengthlessAssembly(self.resource._sha256, segment_bytes_max=100, hold_back_bytes=3)
                continue
            self.follow(steps)
            if self.resource.end_bytes == at:
                self.follow(self.resource.add("cdn:a", self.right[at:], at))
                self.follow(self.resource.end("cdn:a"))
        raise AssertionError("an honest CDN delivered all, and it is not complete")


LengthlessMachine.TestCase.settings = settings(max_examples=80 * EFFORT, stateful_step_count=30, deadline=None)
TestLengthless = LengthlessMachine.TestCase
