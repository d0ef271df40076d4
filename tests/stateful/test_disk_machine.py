"""The store on disk, opened by two at once, against a dict: what is read is what was put, or is gone."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shoal.transports.errors import ShelfDamaged, ShelfFull
from shoal.transports.native.disk import Disk

from ..effort import EFFORT

BYTES_MAX, FILES_MAX = 60, 6
BODIES = [bytes([place]) * size for place, size in enumerate((0, 1, 5, 10, 20, 20, 30, 60, 61))]
WHO = st.integers(0, 1)
WHICH = st.integers(0, len(BODIES) - 1)


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


class DiskMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="shoal-disk-"))
        self.clock = itertools.count(1)
        self.disks = [self.opened(), self.opened()]
        self.model: dict[bytes, tuple[int, int]] = {}  # worth, last use
        self.damaged: set[bytes] = set()

    def opened(self) -> Disk:
        disk = Disk(self.folder, bytes_max=BYTES_MAX, files_max=FILES_MAX, now_us=lambda: next(self.clock))
        disk.open()
        return disk

    def teardown(self) -> None:
        for disk in self.disks:
            disk.close()
        shutil.rmtree(self.folder)

    @rule(who=WHO, which=WHICH, worth=st.integers(0, 2))
    def put(self, who: int, which: int, worth: int) -> None:
        body = BODIES[which]
        try:
            shelved = self.disks[who].put(body, worth=worth)
        except ShelfFull:
            assert len(body) > BYTES_MAX
            return
        self.model.pop(shelved.digest, None)
        in_order = sorted(self.model, key=lambda one: (*self.model[one], one))
        expected = []
        while sum(map(self.size, self.model)) + len(body) > BYTES_MAX or len(self.model) + 1 > FILES_MAX:
            expected.append(in_order.pop(0))
            del self.model[expected[-1]]
        assert shelved.gone == tuple(expected)
        self.damaged -= set(expected)
        self.model[shelved.digest] = (worth, next(self.clock))

    @rule(who=WHO, which=WHICH)
    def read(self, who: int, which: int) -> None:
        wanted = digest(BODIES[which])
        try:
            data = self.disks[who].read(wanted)
        except ShelfDamaged:
            assert wanted in self.damaged
            self.damaged.discard(wanted)
            self.disks[who].forget([wanted])
            del self.model[wanted]
            return
        assert data == (BODIES[which] if wanted in self.model else None)
        assert wanted not in self.damaged

    @rule(who=WHO, which=WHICH, worth=st.integers(0, 2))
    def mark(self, who: int, which: int, worth: int) -> None:
        wanted = digest(BODIES[which])
        self.disks[who].mark({wanted: worth})
        if wanted in self.model:
            self.model[wanted] = (worth, next(self.clock))

    @rule(which=WHICH)
    def damage(self, which: int) -> None:
        """As a disk does, or a power cut: the size stays."""
        wanted = digest(BODIES[which])
        if wanted in self.model and BODIES[which]:
            name = wanted.hex()
            (self.folder / "files" / name[:2] / name).write_bytes(b"\xff" * len(BODIES[which]))
            self.damaged.add(wanted)

    @rule(who=WHO)
    def open_again(self, who: int) -> None:
        self.disks[who].close()
        self.disks[who] = self.opened()

    @invariant()
    def it_holds_what_the_model_holds_within_its_limits(self) -> None:
        wanted = [digest(body) for body in BODIES]
        for disk in self.disks:
            assert disk.sizes(wanted) == {one: self.size(one) for one in self.model}
            assert disk.digests() == sorted(self.model, key=lambda one: (*self.model[one], one))
        assert sum(map(self.size, self.model)) <= BYTES_MAX
        assert len(self.model) <= FILES_MAX

    @staticmethod
    def size(one: bytes) -> int:
        return next(len(body) for body in BODIES if digest(body) == one)


DiskMachine.TestCase.settings = settings(max_examples=10 * EFFORT, stateful_step_count=25, deadline=None)
TestDisk = DiskMachine.TestCase
