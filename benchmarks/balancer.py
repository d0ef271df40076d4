"""The decision against others' policies, on simulated swarms: make bench-balancer

    --quick         fewer viewers and seeds: minutes, and wide intervals
    --seeds N       runs of each policy on each set of recorded lines (5)
    --viewers N     viewers of those runs (100)
    --traces DIR    folders of `time_s Mbit/s` lines, one for each set (benchmarks/traces)
    --workers N     processes (one for each core)
    --only A B      some parts: decision failover large lan hostile crowd traces seeds

Every line is of this code: what an interrupted benchmark has played is kept under a hash of it.  Differences are taken
seed by seed: same viewers, lines, faults and prices; what is given is the worse end of their 95 % interval.  What the
simulator cannot say, stalls through real sockets beside hls.js, is failover.py's (4 minutes of real time).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import failover
import scale
from deciding import median_us
from harness import Claim, conclude

from shoal.app.sim.jobs import Crowd, Job, jobs_of
from shoal.app.sim.sweep import Kept, sweep
from shoal.balancer.config import BalancerConfig
from shoal.balancer.sim.compare import Interval, compare
from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import ORACLE, POLICIES
from shoal.balancer.sim.traces import Trace, parse

ROOT = Path(__file__).resolve().parent.parent
REFERENCES = [name for name in POLICIES if name != "shoal"]
# What measures time or memory comes first, and needs the machine for itself; the rest is the same beside other work.
PARTS = ("decision", "failover", "large", "lan", "hostile", "crowd", "traces", "seeds")

# What may be worse than any reference, in the claims' units: half a second of waiting in five minutes, a twentieth of a
# second of start-up, and a hundredth of the usual bitrate.  Cost may not: it is to be less.
MARGINS = {"cost_per_gb": 0.0, "stall_s": 0.5, "startup_s": 0.05, "bitrate": 0.01}


class Runs:
    """Plays jobs on all cores, and keeps what is done, so that an interrupted benchmark goes on."""

    def __init__(self, workers: int | None, kept: Kept) -> None:
        self.workers = workers
        self.kept = kept

    def play(self, title: str, jobs: list[Job]) -> list[Outcome]:
        began = time.monotonic()
        before = sum(self.kept.get(job) is not None for job in jobs)
        outcomes = sweep(jobs, workers=self.workers, kept=self.kept)
        words = f"{len(jobs)} runs in {time.monotonic() - began:.0f} s"
        print(f"{title}: {words}" + (f", {before} of them kept from before" if before else ""), flush=True)
        return outcomes

    def of(self, scenario: str, viewers: int, seeds: int, policies: list[str], **crowd: object) -> list[Outcome]:
        jobs = jobs_of(scenario, policies, range(1, seeds + 1), Crowd(viewers=viewers, **crowd), BalancerConfig())
        return self.play(f"{scenario}, {viewers} viewers", jobs)


def mean(outcomes: list[Outcome], key: str, policy: str = "shoal") -> float:
    return statistics.fmean(outcome.figures()[key] for outcome in outcomes if outcome.policy == policy)


def lan(runs: Runs) -> list[Claim]:
    claims = []
    for viewers, bound, goal in ((10, 0.85, 0.90), (20, 0.90, 0.95)):
        found = runs.of("vod", viewers, 3, ["shoal", "p2p-media-loader", "one-cdn"])
        theirs = mean(found, "offload", "p2p-media-loader")
        added = mean(found, "stall_s") - mean(found, "stall_s", "one-cdn")
        title = f"VOD on a LAN, {viewers} peers"
        claims += [
            Claim(
                f"{title}: from peers (p2p-media-loader {theirs:.3f})", mean(found, "offload"), bound, True, "", goal
            ),
            Claim(f"{title}: stall beyond one CDN's", added, 0, at_least=False, unit="s"),
        ]
    found = runs.of("live", 4, 3, ["shoal", "p2p-media-loader"])
    theirs = mean(found, "offload", "p2p-media-loader")
    claims.append(
        Claim(
            f"live, 4 viewers: from peers (p2p-media-loader {theirs:.3f})", mean(found, "offload"), 0.70, True, "", 0.75
        )
    )
    return claims


def hostile(runs: Runs, viewers: int) -> list[Claim]:
    bad, good = (runs.of(name, viewers, 3, ["shoal"]) for name in ("hostile", "vod"))
    title = f"1 polluter in {viewers}, 30 % free riders"
    return [
        Claim(f"{title}: wrong bytes", mean(bad, "wrong_bytes"), 0, at_least=False),
        Claim(f"{title}: share from peers lost", mean(good, "offload") - mean(bad, "offload"), 0.10, at_least=False),
    ]


def flash_crowd(runs: Runs, viewers: int) -> list[Claim]:
    found = runs.of("crowd", viewers, 1, ["shoal", "p2p-media-loader"])
    theirs = mean(found, "cdn_peak_bytes_per_s", "p2p-media-loader")
    # Each line carries ten times the bitrate: it forces no stall.
    return [
        Claim(f"{viewers} join a live stream in 30 s: stall", mean(found, "stall_s"), 0, at_least=False, unit="s"),
        Claim(f"{viewers} join: never saw a picture", mean(found, "never_started"), 0, at_least=False),
        Claim(
            f"{viewers} join: CDN peak, of p2p-media-loader's {theirs / 1e6:.0f} MB/s",
            mean(found, "cdn_peak_bytes_per_s") / theirs,
            1.0,
            at_least=False,
            unit="x",
        ),
    ]


def recorded_lines(runs: Runs, folder: Path, viewers: int, seeds: int) -> list[Claim]:
    """For each set and figure the reference against which least is certain.

    Cost must be less, and of the others nothing worse by more than `MARGINS`, both with the whole 95 % interval of the
    differences seed by seed.  One seed has no interval, and shows nothing.
    """
    claims = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        traces: tuple[Trace, ...] = tuple(parse(path.read_text(), name=path.name) for path in sorted(place.iterdir()))
        found = runs.of("traced", viewers, seeds, ["shoal", *REFERENCES, ORACLE], traces=traces)
        *others, bound = compare(found)[1:]

        def worst_of(difference: Interval, sign: float) -> float:
            """The end of the interval at which ours is worst."""
            return math.inf if difference.half is None else sign * difference.mean + difference.half

        for key, words, sign, unit, per in (
            ("cost_per_gb", "cost per GB, more by at most", 1.0, "", 1.0),
            ("stall_s", "stall, more by at most", 1.0, "s", 1.0),
            ("startup_s", "start-up, longer by at most", 1.0, "s", 1.0),
            ("bitrate", "bitrate, less by at most", -1.0, "Mbit/s", 1e6),
        ):
            worst, policy, mean_difference = max(
                (worst_of(row.difference[key], sign), row.policy, row.difference[key].mean) for row in others
            )
            nearest = f"{policy} {mean_difference / per:+.3f}, bound {bound.difference[key].mean / per:+.3f}"
            title = f"{place.name}, {viewers} viewers: {words} ({nearest})"
            figure = worst / per if math.isfinite(worst) else None
            claims.append(Claim(title, figure, MARGINS[key], at_least=False, unit=unit))
        title = f"{place.name}: viewers that never saw a picture"
        claims.append(Claim(title, mean(found, "never_started"), 0, at_least=False))
    return claims


def another_python() -> Path | None:
    """A virtual environment of a newer version, as `make test` makes them; None where there is no such Python."""
    for version in ("3.13", "3.12"):
        folder = ROOT / f".venv-{version}"
        if not (folder / "bin" / "pytest").exists():  # what make-venv installs last
            found = subprocess.run(
                ["tools/find-python", version], cwd=ROOT, capture_output=True, text=True, check=False
            )
            if found.returncode:
                continue
            subprocess.run(["tools/make-venv", folder.name, found.stdout.strip()], cwd=ROOT, check=True)
        return folder / "bin" / "python"
    return None


def same_bytes() -> list[Claim]:
    """One seed in fresh processes with other hash seeds, and on another Python where there is one."""
    command = ["-m", "shoal.app.cli", "sim", "traced", "--viewers", "4", "--replay", "7"]
    other = another_python()

    def output(python: str | Path, seed: int, **more: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), **more}
        return subprocess.run([python, *command], env=environment, capture_output=True, check=True).stdout

    outputs = [output(sys.executable, seed) for seed in (1, 2)]
    return [
        Claim("one seed in two processes: different outputs", len(set(outputs)) - 1, 0, at_least=False),
        Claim(
            "the same on another Python, uncompiled",
            None if other is None else len({*outputs, output(other, 3, PYTHONPATH=str(ROOT / "src"))}) - 1,
            0,
            at_least=False,
        ),
    ]


def decisions() -> list[Claim]:
    growth = ", ".join(f"{peers}: {median_us(peers):.0f}" for peers in (100, 300, 1000))
    return [
        Claim(f"a decision, 5 CDNs and 30 peers (us by peers: {growth})", median_us(30), 50, at_least=False, unit="us")
    ]


def many(*, is_quick: bool) -> list[Claim]:
    """What simulating costs; quickly, only how it grows."""
    seconds = 60 if is_quick else scale.AIM_SECONDS
    viewers = (300, scale.FEWER_VIEWERS) if is_quick else (scale.FEWER_VIEWERS, scale.AIM_VIEWERS)
    light = scale.light_claims(scale.AIM_VIEWERS if is_quick else scale.LIGHT_VIEWERS, seconds)
    return [*light, *scale.claims_of(scale.all_simulated(viewers, seconds), seconds)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--viewers", type=int)
    parser.add_argument("--traces", type=Path, default=ROOT / "benchmarks" / "traces")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    args = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    kept = Kept(ROOT / "out" / "bench-balancer" / f"{commit or 'runs'}.jsonl")
    runs = Runs(args.workers, kept)
    viewers, seeds = args.viewers or (12 if args.quick else 100), args.seeds or (3 if args.quick else 5)
    parts: dict[str, Callable[[], list[Claim]]] = {
        "lan": lambda: lan(runs),
        "hostile": lambda: hostile(runs, 50),
        "crowd": lambda: flash_crowd(runs, 100 if args.quick else 1000),
        "traces": lambda: recorded_lines(runs, args.traces, viewers, seeds),
        "seeds": same_bytes,
        "decision": decisions,
        "failover": failover.claims_of,
        "large": lambda: many(is_quick=args.quick),
    }
    claims = [claim for name in PARTS if name in args.only for claim in parts[name]()]
    kept.close()
    return conclude("balancer", claims)


if __name__ == "__main__":
    raise SystemExit(main())
