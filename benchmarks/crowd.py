"""How many of 200 connected peers one machine holds, each with 1 Mbit/s both ways in sum, and the loop's delay.

    make bench-crowd                                     all 200, 2 minutes
    make bench-crowd ARGS="--peers 50 --seconds 3"       a look

Two processes with half of the connections' ends each (so a core for each end of all); a connection is two peers.
The rate rises step by step, as long as nine tenths of it arrive and a timer is at most 50 ms late (p99), in one of two
tries.  Then the same
rate once more with the peers in processes of their own, which leave the loops alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from channel import End
from harness import Claim, conclude

CROWD = Path(__file__).resolve().parent / "channels" / "crowd.py"
MBIT = 125_000
# Mbit/s per peer, both ways in sum; upwards, so that no backlog is left over
RATES = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
TRIES = 2  # of each rate: one moment in which somebody else had the cores is not the number that this machine holds
AT_ONCE = 20  # connected at once: more would measure how 40 handshakes share a core
LOOP_DELAY_MS_MAX = 50


def connected(peers: int, where: str) -> tuple[End, End, int]:
    """Both ends, and how many peers are connected."""
    ends = End(where, CROWD), End(where, CROWD)
    count = 0
    while count < peers:
        more = min(AT_ONCE, peers - count + 1) // 2
        offers = ends[0].ask("offer", count=more)["descriptions"]
        answers = ends[1].ask("answer", descriptions=offers)["descriptions"]
        ends[1].tell("opened")
        failed = ends[0].ask("accept", descriptions=answers)["failed"]
        ends[1].hear()
        count += 2 * (more - failed)
        if failed == more:
            break
    return *ends, count


def run(ends: tuple[End, End], seconds: float, rate: float) -> list[dict[str, Any]]:
    for end in ends:
        end.tell("run", seconds=seconds, bytes_per_second=rate * MBIT / 2)
    return [end.hear() for end in ends]


def arrived(figures: list[dict[str, Any]], count: int, rate: float) -> float:
    """The share that came of what should have."""
    return sum(end["received_bytes"] / end["seconds"] for end in figures) / (count * rate * MBIT / 2)


def late_ms(figures: list[dict[str, Any]]) -> float:
    return max(float(end["loop_delay_p99_ms"]) for end in figures)


def late_at(ends: tuple[End, End], count: int, seconds: float, rate: float) -> float | None:
    """The loops' delay at a rate; None if it does not hold."""
    for _ in range(TRIES):
        figures = run(ends, seconds, rate)
        share, late = arrived(figures, count, rate), late_ms(figures)
        cores = sum(end["cpu_s"] / end["seconds"] for end in figures)
        print(
            f"{rate:4} Mbit/s",
            f"{share:.2f} arrived, {late:.1f} ms late, {cores:.2f} cores",
            json.dumps(figures),
            flush=True,
        )
        if share >= 0.9 and late < LOOP_DELAY_MS_MAX:
            return late
    return None


def late_apart(peers: int, seconds: float, rate: float) -> float | None:
    """The loops' delay at a rate, with the peers in processes of their own; None if it does not arrive."""
    one, other, count = connected(peers, "apart")
    try:
        figures = run((one, other), seconds, rate)
    finally:
        one.quit()
        other.quit()
    share = arrived(figures, count, rate)
    print(
        f"{rate:4} Mbit/s apart",
        f"{share:.2f} arrived, {late_ms(figures):.1f} ms late",
        json.dumps(figures),
        flush=True,
    )
    return late_ms(figures) if share >= 0.9 else None


def measured(peers: int = 200, seconds: float = 5.0) -> list[Claim]:
    """All that this file claims, measured now: a minute or two."""
    one, other, count = connected(peers, "here")
    held: tuple[float, float] | None = None
    try:
        idle = run((one, other), seconds, 0.001)
        print("idle      ", json.dumps(idle), flush=True)
        for rate in RATES:
            late = late_at((one, other), count, seconds, rate)
            if late is None:
                break
            held = rate, late
    finally:
        one.quit()
        other.quit()
    if held is None:
        print("not even the lowest rate was held", file=sys.stderr)
    return [
        Claim("peers connected", count, peers, at_least=True),
        Claim(
            "rate held, per peer, both ways in sum",
            held[0] if held else 0,
            RATES[0],
            at_least=True,
            unit="Mbit/s",
            goal=1.0,
        ),
        Claim("loop delay p99 then", held[1] if held else None, LOOP_DELAY_MS_MAX, at_least=False, unit="ms"),
        Claim(
            "the same with the peers in processes of their own",
            late_apart(peers, seconds, held[0]) if held else None,
            LOOP_DELAY_MS_MAX,
            at_least=False,
            unit="ms",
        ),
        Claim(
            "CPU of idle connections, share of a core",
            sum(end["cpu_s"] / end["seconds"] for end in idle),
            0.5,
            at_least=False,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    return conclude("crowd", measured(options.peers, options.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
