"""Runs jobs on all cores, or on a Ray cluster, in any order, and gives their outcomes in the order of the jobs.

What is done is kept in a file, a line for each run, as soon as it is done: a sweep
that was interrupted goes on where it was.  Outcomes do not depend on the number of
workers, since each is a function of its job alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import closing, suppress
from multiprocessing import get_context
from pathlib import Path

import msgspec

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.sim.outcome import Outcome

from .jobs import Job, identity, play
from .on_ray import played_on_ray

__all__ = ["Kept", "sweep"]

_LINE_BYTES_MAX = 64 * 1024 * 1024  # 100,000 viewers


class _Line(msgspec.Struct):
    identity: str
    outcome: Outcome


class Kept:
    """The file of what is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, Outcome] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ConfigurationError(f"--out {path.parent} cannot be written: {error.strerror}") from error
        self._file.seek(0)
        decode = msgspec.json.Decoder(_Line).decode
        for line in self._file:
            with suppress(msgspec.DecodeError):  # the last line of a sweep that was killed
                kept = decode(line[:_LINE_BYTES_MAX])
                self._done[kept.identity] = kept.outcome
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def get(self, job: Job) -> Outcome | None:
        return self._done.get(identity(job))

    def put(self, job: Job, outcome: Outcome) -> None:
        self._file.write(msgspec.json.encode(_Line(identity(job), outcome)) + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def sweep(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    ray: str | None = None,
    kept: Kept | None = None,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> list[Outcome]:
    """All outcomes, in the order of the jobs.  `workers`: as many processes; by default one for each core.

    `ray`: the address of a cluster that they run on instead, or "local" (on_ray.py).

    `progress(done, all)` is called after each run.  Interrupted, what is done is in `kept`.
    """
    found: dict[int, Outcome] = {}
    for place, job in enumerate(jobs):
        before = None if kept is None else kept.get(job)
        if before is not None:
            found[place] = before
    left = [place for place in range(len(jobs)) if place not in found]
    progress(len(found), len(jobs))
    if ray is not None and left:
        played = played_on_ray(jobs, left, ray, workers)
    else:
        played = _played(jobs, left, workers or os.cpu_count() or 1)
    with closing(played):  # what was interrupted must not run on
        for place, outcome in played:
            found[place] = outcome
            if kept is not None:
                kept.put(jobs[place], outcome)
            progress(len(found), len(jobs))
    return [found[place] for place in range(len(jobs))]


def _played(jobs: Sequence[Job], left: Sequence[int], workers: int) -> Generator[tuple[int, Outcome]]:
    if workers == 1 or len(left) <= 1:
        for place in left:
            yield place, play(jobs[place])
        return
    # Not by fork: the parent has threads and a loop, which a fork would copy in whatever state they are.
    pool = ProcessPoolExecutor(min(workers, len(left)), mp_context=get_context("spawn"))
    try:
        places: dict[Future[Outcome], int] = {pool.submit(play, jobs[place]): place for place in left}
        for future in as_completed(places):
            yield places[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
