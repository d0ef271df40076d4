"""What simulating many viewers costs: CPU time and memory, and how CPU time for each grows with their number.

    make bench-scale                                                 300 and 1,000 viewers for a minute
    make bench-scale ARGS="--viewers 1000 10000 --seconds 600"       what is claimed; `make bench-balancer` runs it too

A live stream that all join within 30 s (`sim/scenarios.py`, crowd), under our policy.  Each number of viewers is run in
a fresh process, so that its peak memory is its own, as many at once as there are cores.  Both are given for what was
run: nothing is extrapolated, and what is claimed of 10,000 viewers is measured only where that was run as it stands.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from harness import Claim, conclude

from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenarios import crowd
from shoal.balancer.sim.world import run

FEWER_VIEWERS, AIM_VIEWERS, AIM_SECONDS = 1_000, 10_000, 600
AIM_CPU_MINUTES, AIM_GIB = 20, 4
GROWTH_MAX = 1.3  # CPU time of a viewer among the most, to that among the fewest
# What many viewers touch lies everywhere in hundreds of megabytes: in large pages the processor finds it sooner.  Where
# the C library or the system knows no such setting (glibc 2.35 and `madvise` do), nothing changes.
LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
Figures = dict[str, float]


def simulate(viewers: int, seconds: int) -> Figures:
    """In this process: CPU seconds, peak GiB and events."""
    scenario = msgspec.structs.replace(crowd(1, viewers), length_us=seconds * 1_000_000)
    began_s = time.process_time()
    outcome = run(scenario, "shoal", POLICIES["shoal"])
    cpu_s = time.process_time() - began_s
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in KiB on Linux
    return {"cpu_s": cpu_s, "gib": peak_gib, "events": outcome.events, "offload": outcome.offload}


def simulated(viewers: int, seconds: int) -> Figures:
    """The same in a process of its own."""
    inside = [sys.executable, __file__, "--inside", str(viewers), str(seconds)]
    environment = {**os.environ, **LARGE_PAGES}
    done = subprocess.run(inside, env=environment, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    print(
        f"{viewers:6} viewers, {seconds} s: {figures['cpu_s']:7.1f} CPU s, "
        f"{figures['cpu_s'] * 1000 / viewers:6.1f} ms a viewer, {figures['gib']:.2f} GiB, "
        f"{figures['events']:.0f} events, offload {figures['offload']:.2f}",
        flush=True,
    )
    return figures


def all_simulated(viewers: Sequence[int], seconds: int) -> dict[int, Figures]:
    """Each number of viewers, the most first, since the others fit beside them."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = sorted(viewers, reverse=True)
        return dict(zip(counts, pool.map(lambda count: simulated(count, seconds), counts), strict=True))


def claims_of(found: dict[int, Figures], seconds: int) -> list[Claim]:
    fewest, most = min(found), max(found)
    growth = found[most]["cpu_s"] / most / (found[fewest]["cpu_s"] / fewest) if fewest < most else None
    aimed = found.get(AIM_VIEWERS) if seconds == AIM_SECONDS else None
    title = f"CPU of one among {most:,} / among {fewest:,} viewers, {seconds} s"
    what = f"{AIM_VIEWERS:,} viewers for {AIM_SECONDS} s"
    return [
        Claim(title, growth, GROWTH_MAX, at_least=False),
        Claim(f"{what}: CPU", aimed and aimed["cpu_s"] / 60, AIM_CPU_MINUTES, at_least=False, unit="min"),
        Claim(f"{what}: memory", aimed and aimed["gib"], AIM_GIB, at_least=False, unit="GiB"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", nargs="+", type=int, default=[300, 1000])
    parser.add_argument("--seconds", type=int, default=60, help="of virtual time")
    parser.add_argument("--inside", nargs=2, type=int, metavar=("VIEWERS", "SECONDS"), help="run one, print JSON")
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(simulate(*options.inside)))
        return 0
    return conclude("scale", claims_of(all_simulated(options.viewers, options.seconds), options.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
