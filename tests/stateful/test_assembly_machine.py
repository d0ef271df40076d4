"""An assembly fed by honest and lying sources, with digests that come late and in any order.

readable bytes are a prefix of the right ones, and never shrink below what was read
an honest source is never blamed, a source never twice
whenever one honest source delivers all, it completes with the right bytes
"""

from __future__ import annotations

import hashlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.balancer.assembly import Assembly, Blamed, Completed, Discarded, HashJob, Refused
from shoal.balancer.integrity import Digests

from ..effort import EFFORT

BLOCK = 4
HONEST = ("cdn:a", "peer:h")
LIARS = ("cdn:x", "peer:y", "peer:z")


class AssemblyMachine(RuleBasedStateMachine):
    @initialize(size=st.integers(0, 23), blocks=st.booleans())
    def begin(self, size: int, blocks: bool) -> None:
        self.right = bytes(i * 7 % 251 for i in range(size))
        cut = tuple(hashlib.sha256(self.right[i : i + BLOCK]).digest() for i in range(0, size, BLOCK))
        self.has_blocks = blocks and size > 0  # nothing has no blocks
        known = Digests(size, hashlib.sha256(self.right).digest(), BLOCK, cut if blocks else ())
        self.resource = Assembly(known, segment_bytes_max=100, hold_back_bytes=3)
        self.jobs: list[HashJob] = []
        self.blamed: set[str] = set()
        self.readable = 0

    def follow(self, steps: list) -> None:
        for step in steps:
            match step:
                case HashJob():
                    self.jobs.append(step)
                case Blamed(source, _):
                    self.blame(source)
                case Discarded(keep_bytes, blamed, suspects, breaks_readers):
                    assert suspects
                    assert self.resource.end_bytes == keep_bytes
                    if blamed is not None:
                        assert suspects == (blamed,)
                        self.blame(blamed)
                    if self.has_blocks:
                        assert not breaks_readers
                    self.readable = min(self.readable, keep_bytes)
                case Completed(byte_count, verified):
                    assert byte_count == len(self.right)
                    assert verified == ("blocks" if self.has_blocks else "segment")
                    assert self.resource.take() == self.right
                case Refused(source, _):
                    assert source not in HONEST or self.has_wrong_bytes()

    def blame(self, source: str) -> None:
        assert source in LIARS
        assert source not in self.blamed
        self.blamed.add(source)

    def has_wrong_bytes(self) -> bool:
        return bytes(self.resource._data) != self.right[: self.resource.end_bytes]

    @rule(source=st.sampled_from(HONEST + LIARS), count=st.integers(1, 9), back=st.integers(0, 3))
    def deliver(self, source: str, count: int, back: int) -> None:
        start = max(0, self.resource.end_bytes - back)
        data = self.right[start : start + count]
        if data:
            self.follow(self.resource.add(source, data, start))

    @rule(source=st.sampled_from(LIARS), data=st.binary(min_size=1, max_size=9), back=st.integers(0, 3))
    def lie(self, source: str, data: bytes, back: int) -> None:
        self.follow(self.resource.add(source, data, max(0, self.resource.end_bytes - back)))

    @rule(source=st.sampled_from(LIARS), total=st.integers(0, 40))
    def announce(self, source: str, total: int) -> None:
        self.follow(self.resource.begin(source, total, None))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def hash_one(self, data: st.DataObject) -> None:
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        self.follow(self.resource.hashed(job, hashlib.sha256(job.data).digest()))

    @invariant()
    def what_is_readable_is_right(self) -> None:
        readable = self.resource.readable_bytes
        if self.has_blocks or self.resource.completed:
            assert self.resource.read(0, 100) == self.right[:readable]
        else:
            assert readable <= max(0, len(self.right) - 3)
        assert readable >= self.readable
        self.readable = readable

    @invariant()
    def every_byte_held_is_accounted_for(self) -> None:
        accounts = self.resource.sources().values()
        assert sum(account.used_bytes for account in accounts) == self.resource.end_bytes
        assert all(account.used_bytes >= 0 and account.wasted_bytes >= 0 for account in accounts)

    def teardown(self) -> None:
        if not hasattr(self, "resource"):
            return
        for _ in range(20):  # each round throws at most one block away
            while self.jobs:
                job = self.jobs.pop(0)
                self.follow(self.resource.hashed(job, hashlib.sha256(job.data).digest()))
            if self.resource.completed:
                return
            rest = self.right[self.resource.end_bytes :]
            if rest:
                self.follow(self.resource.add("cdn:a", rest, self.resource.end_bytes))
            else:
                self.follow(self.resource.end("cdn:a"))
        raise AssertionError("an honest source delivered all, and it is not complete")


AssemblyMachine.TestCase.settings = settings(max_examples=80 * EFFORT, stateful_step_count=30, deadline=None)
TestAssembly = AssemblyMachine.TestCase
