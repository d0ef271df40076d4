"""python killed_writers.py FOLDER RUNS SEED: writers to a store that are killed in the middle, and what is left.

Each run forks one or two writers that put bodies into FOLDER without a pause, waits until each
has begun, waits up to 20 ms more, and kills them (SIGKILL).  Then the store is opened as anybody would:
everything in it must be whole and listed, nothing else may lie there, and it must take more.

One process forks them all, since starting Python fifty times would take longer than the runs.
Prints a line of JSON: the runs, how many bodies were left half written, and what was wrong.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import random
import select
import signal
import sys
from pathlib import Path

from shoal.transports.errors import ShelfDamaged
from shoal.transports.native.disk import Disk

BYTES_MAX = 4 << 20  # a few bodies, so that room is made all the time
FILES_MAX = 12
BODY_BYTES = (0, 1000, 300_000, 1_200_000)  # in some, a kill hits between two writes of one body
BODIES = 40
LATER_S = 0.02


def body_of(number: int) -> bytes:
    """Known by its number; a few numbers come again and again."""
    return random.Random(number).randbytes(1024) * (BODY_BYTES[number % len(BODY_BYTES)] // 1024)


@functools.cache
def known() -> frozenset[bytes]:
    return frozenset(hashlib.sha256(body_of(number)).digest() for number in range(BODIES))


def write_for_ever(folder: Path, seed: int, begun: int) -> None:
    source = random.Random(seed)
    disk = Disk(folder, bytes_max=BYTES_MAX, files_max=FILES_MAX)
    disk.open()
    os.write(begun, b".")
    while True:
        disk.put(body_of(source.randrange(BODIES)), worth=source.randrange(3))
        with contextlib.suppress(ShelfDamaged):
            disk.read(source.choice(disk.digests()))


def killed(folder: Path, source: random.Random, writers: int) -> None:
    children: list[int] = []
    begun, tell = os.pipe()
    for _ in range(writers):
        seed = source.randrange(1 << 32)
        child = os.fork()
        if child == 0:
            os.close(begun)
            try:
                write_for_ever(folder, seed, tell)
            except BaseException as error:
                os.write(2, f"a writer failed: {error!r}\n".encode())
            os._exit(1)  # it writes until it is killed
        children.append(child)
    os.close(tell)
    for _ in range(writers):
        assert os.read(begun, 1) == b".", "a writer ended before it was killed"
    select.select([], [], [], source.random() * LATER_S)
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, f"a writer ended by itself with {status}"
    os.close(begun)


def problems(folder: Path) -> list[str]:
    """What is wrong with the store, opened by somebody else."""
    disk = Disk(folder, bytes_max=BYTES_MAX, files_max=FILES_MAX)
    disk.open()
    try:
        found: list[str] = []
        listed = disk.digests()
        files = {path.name: path.stat().st_size for path in (folder / "files").glob("*/*")}
        if sorted(files) != sorted(digest.hex() for digest in listed):
            found.append(f"the index lists {len(listed)}, and {len(files)} files lie there")
        if disk.totals() != (sum(files.values()), len(files)):
            found.append(f"the index counts {disk.totals()}, and there are {sum(files.values())}, {len(files)}")
        if sum(files.values()) > BYTES_MAX or len(files) > FILES_MAX:
            found.append(f"{sum(files.values())} bytes in {len(files)} files are over the limit")
        if left := list((folder / "new").iterdir()):
            found.append(f"{len(left)} half-written files are left")
        for digest in listed:
            data = disk.read(digest)  # ShelfDamaged would end the run
            if data is None or hashlib.sha256(data).digest() != digest or digest not in known():
                found.append(f"{digest.hex()} is not what was put")
        if disk.read(disk.put(b"and more", worth=2).digest) != b"and more":
            found.append("it takes nothing more")
        disk.forget([hashlib.sha256(b"and more").digest()])
        return found
    finally:
        disk.close()


def main(folder: Path, runs: int, seed: int) -> int:
    source = random.Random(seed)
    wrong: list[str] = []
    half_written = 0
    for run in range(runs):
        killed(folder, source, writers=1 + run % 2)
        half_written += len(list((folder / "new").iterdir()))
        wrong += [f"run {run}: {problem}" for problem in problems(folder)]
    told = {"runs": runs, "half_written": half_written, "wrong": wrong}
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
