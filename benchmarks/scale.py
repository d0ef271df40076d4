"""What simulating many viewers costs: CPU time and memory, and how CPU time for each grows with their number.

    make bench-scale                                                 300 and 1,000 viewers for a minute
    make bench-scale ARGS="--viewers 1000 10000 --seconds 600"       what is claimed; `make bench-balancer` runs it too

A live stream that all join within 30 s (`sim/scenarios.py`, crowd), under our policy.  Each number of viewers is run in
a fresh process, so that its peak memory is its own, one after the other.  Both are given for what was
run: nothing is extrapolated, and what is claimed of 10,000 viewers is measured only where that was run as it stands.
    make bench-scale ARGS="--light 100000 --seconds 600"             so many with the light model (`sim/light.py`)

Each process says at the end of each virtual minute what it has come to, so that one that dies leaves its figures; what
it then cannot show counts as not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import msgspec
from harness import Claim, conclude

from shoal.balancer.sim.light import light
from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenarios import crowd
from shoal.balancer.sim.world import run

FEWER_VIEWERS, AIM_VIEWERS, AIM_SECONDS = 1_000, 10_000, 600
AIM_CPU_MINUTES, AIM_GIB = 20, 4
LIGHT_VIEWERS, LIGHT_CPU_MINUTES, LIGHT_GIB = 100_000, 30, 4
LIKE_VIEWERS, LIKE_SECONDS = 1_000, 90  # where the light model is held against the full one
OFFLOAD_OFF_MAX, PEAK_OFF_MAX = 0.1, 0.35
GROWTH_MAX = 1.3  # CPU time of a viewer among the most, to that among the fewest
# What many viewers touch lies everywhere in hundreds of megabytes: in large pages the processor finds it sooner.  Where
# the C library or the system knows no such setting (glibc 2.35 and `madvise` do), nothing changes.
LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
TELL_SECONDS = 60  # of virtual time
ERROR_CHARACTERS_MAX = 2_000  # the end of what a process that failed said
Figures = dict[str, float]


def simulate(viewers: int, seconds: int, tell: Callable[[Figures], object], *, is_light: bool = False) -> None:
    """In this process: CPU seconds, peak GiB and events, told at the end of each minute of virtual time and of all.

    The light model tells them once, at the end.
    """
    scenario = msgspec.structs.replace(crowd(1, viewers), length_us=seconds * 1_000_000)
    began_s = time.process_time()

    def figures(at_s: int) -> Figures:
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in KiB on Linux
        return {"at_s": at_s, "cpu_s": time.process_time() - began_s, "gib": peak_gib}

    minutes = iter(range(0, seconds + 1, TELL_SECONDS))

    def look() -> None:
        at_s = next(minutes)
        if at_s < seconds:
            tell(figures(at_s))

    if is_light:
        outcome = light(scenario)
    else:
        outcome = run(scenario, "shoal", POLICIES["shoal"], look=look, every_us=TELL_SECONDS * 1_000_000)
    tell({**figures(seconds), "events": outcome.events, "offload": outcome.offload, "stall_s": outcome.stall_s})


def simulated(viewers: int, seconds: int, *, is_light: bool = False) -> Figures:
    """The same in a process of its own.  Without `events` if it ended before: these are its last figures, or none."""
    inside = [sys.executable, __file__, "--inside", str(viewers), str(seconds), *(["--light", "1"] if is_light else [])]
    environment = {**os.environ, **LARGE_PAGES}
    figures: Figures = {}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(inside, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            before, figures = figures, json.loads(line)
            print(f"{viewers:6} viewers {_words(viewers, before, figures)}", flush=True)
        if code := process.wait():
            errors.seek(0)
            print(f"{viewers:6} viewers: {_reason(code, errors.read())}", file=sys.stderr, flush=True)
            figures.pop("events", None)
    return figures


def _words(viewers: int, before: Figures, now: Figures) -> str:
    text = f"at {now['at_s']:3.0f} s: {now['cpu_s']:7.1f} CPU s, {now['gib']:.2f} GiB"
    if "events" in now:
        return (
            f"{text}, {now['cpu_s'] * 1000 / viewers:.1f} ms a viewer, {now['events']:.0f} events, "
            f"offload {now['offload']:.3f}, stall {now['stall_s']:.3f} s a viewer"
        )
    if not before:
        return text
    return f"{text}; the last minute {(now['cpu_s'] - before['cpu_s']) * 1000 / viewers:.1f} ms a viewer"


def _reason(code: int, errors: str) -> str:
    """Why a process ended early."""
    if code < 0:
        word = f"killed by {signal.Signals(-code).name}"
        return f"{word}: too little memory?" if -code == signal.SIGKILL else word
    return f"ended with {code}: {errors.strip()[-ERROR_CHARACTERS_MAX:] or 'it said nothing'}"


def all_simulated(viewers: Sequence[int], seconds: int) -> dict[int, Figures]:
    """Each number of viewers, one after the other, since they would take the caches from each other.

    The fewest before and after the others: machines change their speed meanwhile, so that of both the mean counts.
    """
    counts = sorted(viewers)
    found = {count: simulated(count, seconds) for count in counts}
    again = simulated(counts[0], seconds)
    if "events" in again and "events" in found[counts[0]]:
        found[counts[0]]["cpu_s"] = (found[counts[0]]["cpu_s"] + again["cpu_s"]) / 2
    return found


def claims_of(found: dict[int, Figures], seconds: int) -> list[Claim]:
    fewest, most = min(found), max(found)
    whole = {viewers: figures for viewers, figures in found.items() if "events" in figures}
    growth = None
    if fewest < most and {fewest, most} <= whole.keys():
        growth = whole[most]["cpu_s"] / most / (whole[fewest]["cpu_s"] / fewest)
    aimed = whole.get(AIM_VIEWERS) if seconds == AIM_SECONDS else None
    title = f"CPU of one among {most:,} / among {fewest:,} viewers, {seconds} s"
    what = f"{AIM_VIEWERS:,} viewers for {AIM_SECONDS} s"
    return [
        Claim(title, growth, GROWTH_MAX, at_least=False),
        Claim(f"{what}: CPU", aimed and aimed["cpu_s"] / 60, AIM_CPU_MINUTES, at_least=False, unit="min"),
        Claim(f"{what}: memory", aimed and aimed["gib"], AIM_GIB, at_least=False, unit="GiB"),
    ]


def light_claims(viewers: int, seconds: int) -> list[Claim]:
    """What so many cost with the light model, and how far it is from the full one where that can be asked."""
    scenario = msgspec.structs.replace(crowd(1, LIKE_VIEWERS), length_us=LIKE_SECONDS * 1_000_000)
    full, like = run(scenario, "shoal", POLICIES["shoal"]), light(scenario)
    peaks = like.cdn_peak_bytes_per_s / full.cdn_peak_bytes_per_s
    print(
        f"{LIKE_VIEWERS} viewers, {LIKE_SECONDS} s: offload {like.offload:.3f} light, {full.offload:.3f} in full"
        f"; CDN peak {like.cdn_peak_bytes_per_s / 1e6:.0f} and {full.cdn_peak_bytes_per_s / 1e6:.0f} MB/s; "
        f"stall {like.stall_s:.3f} and {full.stall_s:.3f} s a viewer"
    )
    figures = simulated(viewers, seconds, is_light=True)
    is_whole, what = "events" in figures, f"{viewers:,} viewers for {seconds} s, light model"
    return [
        Claim(
            f"light model, {LIKE_VIEWERS:,} viewers: offload off by",
            abs(like.offload - full.offload),
            OFFLOAD_OFF_MAX,
            at_least=False,
        ),
        Claim("the same: CDN peak off by", abs(peaks - 1.0), PEAK_OFF_MAX, at_least=False),
        Claim(
            f"{what}: CPU", figures["cpu_s"] / 60 if is_whole else None, LIGHT_CPU_MINUTES, at_least=False, unit="min"
        ),
        Claim(f"{what}: memory", figures["gib"] if is_whole else None, LIGHT_GIB, at_least=False, unit="GiB"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", nargs="+", type=int, default=[300, 1000])
    parser.add_argument("--seconds", type=int, default=60, help="of virtual time")
    parser.add_argument("--light", type=int, metavar="VIEWERS", help="only so many, with the light model")
    parser.add_argument("--inside", nargs=2, type=int, metavar=("VIEWERS", "SECONDS"), help="run one, print JSON")
    options = parser.parse_args()
    if options.inside:
        is_light = options.light is not None
        simulate(*options.inside, tell=lambda figures: print(json.dumps(figures), flush=True), is_light=is_light)
        return 0
    if options.light:
        return conclude("scale", light_claims(options.light, options.seconds))
    return conclude("scale", claims_of(all_simulated(options.viewers, options.seconds), options.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
